// The page's language: which one, and its words put where the page asks for them.

import { words } from './words.js';

const REMEMBERED = 'rtcroom.language';
const listeners = new Set();
let language = 'en';

/** The languages there are, and their own names. */
export const languages = Object.freeze({ zh: '中文', en: 'English' });

/** Takes the language asked for, the remembered one, or the browser's. */
export function startLanguage(asked) {
  const wanted = [asked, localStorage.getItem(REMEMBERED), ...navigator.languages].filter(Boolean);
  const known = wanted.map((name) => name.toLowerCase().split('-')[0]).find((name) => name in languages);
  apply(known ?? 'en');
}

/** Changes the language and remembers it. */
export function setLanguage(name) {
  localStorage.setItem(REMEMBERED, name);
  apply(name);
}

/** The language in use. */
export function currentLanguage() {
  return language;
}

/** Calls `listener` whenever the language changes. */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** A sentence in the page's language, its `{names}` filled in. */
export function t(key, values = {}) {
  const sentence = words[key]?.[language] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

function apply(name) {
  language = name;
  document.documentElement.lang = name === 'zh' ? 'zh-CN' : name;
  for (const target of document.querySelectorAll('[data-t]')) target.textContent = t(target.dataset.t);
  for (const target of document.querySelectorAll('[data-t-label]')) {
    target.setAttribute('aria-label', t(target.dataset.tLabel));
    target.title = t(target.dataset.tLabel);
  }
  for (const target of document.querySelectorAll('[data-t-placeholder]')) target.placeholder = t(target.dataset.tPlaceholder);
  for (const listener of listeners) listener(name);
}

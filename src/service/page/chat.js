// Texts between the clerk and the customer, with what became of each.

import { element, say } from './element.js';
import { onLanguage, t } from './i18n.js';
import rtcroom from './rtcroom.js';

const TEXT_LIMIT_BYTES = 8898;
const QUICK = ['quick_1', 'quick_2', 'quick_3', 'quick_4'];
const find = (id) => document.getElementById(id);

/** The message panel of one call at a time. */
export class Chat {
  #history = find('history');
  #text = find('message-text');
  #unfinished = new Set();

  constructor() {
    find('message-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#sendTyped();
    });
    this.#text.addEventListener('keydown', (event) => {
      // While an input method composes, Enter chooses its characters.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#sendTyped();
    });
    onLanguage(() => this.#drawQuick());
  }

  /** A new customer does not see, and the clerk does not mix up, what was said to the one before. */
  clear() {
    this.#history.replaceChildren();
    this.#text.value = '';
    this.#unfinished.clear();
  }

  /** Shows what came from the room; one's own texts are there already. */
  received({ userID, userName, textMsg, time }) {
    if (userID === rtcroom.getAccountInfo().userID) return;
    this.#append({ name: userName || userID, text: textMsg, time, own: false });
  }

  #sendTyped() {
    const text = this.#text.value.trim();
    if (!text) return;
    if (new TextEncoder().encode(text).length > TEXT_LIMIT_BYTES) {
      this.#text.setCustomValidity(t('message_long'));
      this.#text.reportValidity();
      return;
    }
    this.#text.setCustomValidity('');
    this.#text.value = '';
    this.#send(text);
  }

  #send(text) {
    const time = new Date().toTimeString().slice(0, 8);
    const entry = this.#append({ name: t('you'), text, time, own: true });
    this.#deliver(text, entry);
  }

  async #deliver(text, { item, state }) {
    item.dataset.state = 'sending';
    state.replaceChildren(t('sending'));
    try {
      await rtcroom.sendRoomTextMsg({ data: { msg: text } });
      item.dataset.state = 'sent';
      state.replaceChildren();
    } catch (error) {
      item.dataset.state = 'failed';
      const again = element('button', { type: 'button', class: 'link', text: t('send_again'), on: { click: () => this.#deliver(text, { item, state }) } });
      state.replaceChildren(t('not_sent'), ' ', again);
      state.title = error.message;
    }
  }

  #append({ name, text, time, own }) {
    const state = element('span', { class: 'message-state' });
    const item = element('li', { class: own ? 'message own' : 'message' }, [
      element('span', { class: 'message-head', text: `${name} · ${time.slice(0, 5)}` }),
      element('p', { text }),
      state,
    ]);
    this.#history.append(item);
    this.#history.scrollTop = this.#history.scrollHeight;
    return { item, state };
  }

  #drawQuick() {
    find('quick').replaceChildren(...QUICK.map((key) => {
      const chip = element('button', { type: 'button', class: 'chip', on: { click: () => this.#send(t(key)) } });
      say(chip, t(key));
      return chip;
    }));
  }
}

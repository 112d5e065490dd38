// Makes one element. Text goes in as text, never as markup.

/** `attributes` may hold `text`, `class`, `on: {event: handler}`, and any attribute; null and false leave one out. */
export function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (name === 'text') made.textContent = value;
    else if (name === 'on') for (const [event, handler] of Object.entries(value)) made.addEventListener(event, handler);
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

/** Sets an element's text only when it differs, so that screen readers are not told the same again. */
export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Minutes and seconds, with hours when there are any. */
export function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (number) => String(number).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  const tail = `${two(minutes % 60)}:${two(seconds % 60)}`;
  return minutes < 60 ? tail : `${Math.floor(minutes / 60)}:${tail}`;
}

// The list of rooms: who waits and since when, and who is in a call.

import { clock, element, say } from './element.js';
import { onLanguage, t } from './i18n.js';
import rtcroom from './rtcroom.js';

const POLL_MS = 10000;
const POLL_WHEN_LOST_MS = 2000;
const PAGE = 100;
const MOST_ROOMS = 1000;
const find = (id) => document.getElementById(id);

/** How a member is called on the screen. */
export function nameOf({ userName, userID }) {
  return userName || userID;
}

/** The waiting rooms, kept up to date from sign-in to sign-out. */
export class Lobby {
  #on;
  #me = '';
  #seatsTwo = true;
  #rows = new Map();
  #waiting = [];
  #busy = [];
  #timer = 0;
  #ticking = 0;
  #loading = false;
  #again = false;
  #running = false;
  #lost = false;
  #answerable = true;

  /** `on.answer(room)`, `on.waiting(rooms)`, `on.server(there)`. */
  constructor(on) {
    this.#on = on;
    onLanguage(() => this.#draw());
    document.addEventListener('keydown', (event) => this.#enterAnswers(event));
  }

  get waiting() {
    return this.#waiting;
  }

  start(userID, kind) {
    this.#me = userID;
    this.#seatsTwo = kind === 'double_room';
    this.#running = true;
    this.#ticking = setInterval(() => this.#tick(), 500);
    this.refresh();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    clearInterval(this.#ticking);
    this.#waiting = [];
    this.#busy = [];
    this.#lost = false;
    this.#draw();
  }

  /** While an answer is under way no other can be given. */
  set answerable(answerable) {
    this.#answerable = answerable;
    for (const button of document.querySelectorAll('[data-answer]')) button.disabled = !answerable;
  }

  /** Fetches the list now. */
  async refresh() {
    if (!this.#running) return;
    if (this.#loading) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#loading = true;
    try {
      this.#take(await fetchRooms());
      this.#serverIs(true);
    } catch (error) {
      this.#serverIs(false, error);
    }
    this.#loading = false;
    if (!this.#running) return;
    if (this.#again) {
      this.#again = false;
      this.refresh();
    } else {
      this.#timer = setTimeout(() => this.refresh(), this.#lost ? POLL_WHEN_LOST_MS : POLL_MS);
    }
  }

  #serverIs(there, error = null) {
    this.#lost = !there;
    find('list-stale').hidden = there;
    find('screen-lobby').classList.toggle('is-stale', !there);
    this.#on.server(there, error);
  }

  #take(rooms) {
    if (!this.#running) return;
    const now = performance.now();
    const known = new Map(this.#waiting.map((room) => [room.roomID, room]));
    this.#waiting = [];
    this.#busy = [];
    for (const room of rooms) {
      const others = room.pushers.filter(({ userID }) => userID !== this.#me);
      if (others.length === 1 && room.pushers.length === 1) {
        const since = now - (room.waitingMs ?? now - (known.get(room.roomID)?.since ?? now));
        this.#waiting.push({ ...room, customer: others[0], since });
      } else if (others.length > 0) {
        this.#busy.push({ ...room, customer: others[0] });
      }
    }
    this.#waiting.sort((a, b) => a.since - b.since);
    this.#draw();
    this.#on.waiting(this.#waiting);
  }

  #draw() {
    const focused = document.activeElement?.closest?.('[data-room-id]')?.dataset.roomId;
    const rows = new Map();
    for (const room of this.#waiting) rows.set(room.roomID, this.#row(room, true));
    for (const room of this.#busy) rows.set(room.roomID, this.#row(room, false));
    this.#rows = rows;
    place(find('waiting'), this.#waiting.map(({ roomID }) => rows.get(roomID).item));
    place(find('busy'), this.#busy.map(({ roomID }) => rows.get(roomID).item));
    if (focused) rows.get(focused)?.button?.focus();
    find('nobody').hidden = this.#waiting.length > 0;
    find('busy-part').hidden = this.#busy.length === 0;
    const count = this.#waiting.length;
    say(find('waiting-count'), count ? t('waiting_count', { n: count }) : '');
    this.#tick();
  }

  #row(room, waits) {
    const parts = this.#rows.get(room.roomID) ?? makeRow(room.roomID);
    const name = nameOf(room.customer);
    parts.room = room;
    parts.item.classList.toggle('is-waiting', waits);
    say(parts.name, waits ? name : room.pushers.map(nameOf).join(' · '));
    say(parts.info, [room.roomInfo, room.roomID].filter((text) => text && text !== name).join(' · '));
    parts.info.title = parts.info.textContent;
    parts.name.title = parts.name.textContent;
    say(parts.label, waits ? t('waiting_for') : '');
    const canAnswer = waits || !this.#seatsTwo;
    if (canAnswer && !parts.button) {
      parts.button = element('button', { type: 'button', class: 'answer', 'data-answer': room.roomID, on: { click: () => this.#on.answer(parts.room) } });
      parts.item.append(parts.button);
    } else if (!canAnswer && parts.button) {
      parts.button.remove();
      parts.button = null;
    }
    if (parts.button) {
      say(parts.button, t(waits ? 'answer' : 'join'));
      parts.button.setAttribute('aria-label', t('answer_label', { name }));
      parts.button.disabled = !this.#answerable;
    }
    return parts;
  }

  #tick() {
    const now = performance.now();
    for (const { room, clock: target } of this.#rows.values()) {
      say(target, room.since === undefined ? '' : clock(now - room.since));
    }
  }

  // Enter answers the one who has waited longest, unless the clerk is at another control.
  #enterAnswers(event) {
    if (event.key !== 'Enter' || event.repeat || event.isComposing) return;
    if (document.body.dataset.screen !== 'lobby' || document.querySelector('dialog[open]')) return;
    if (document.activeElement && document.activeElement !== document.body) return;
    if (!this.#answerable || this.#waiting.length === 0) return;
    event.preventDefault();
    this.#on.answer(this.#waiting[0]);
  }
}

async function fetchRooms() {
  const all = [];
  while (all.length < MOST_ROOMS) {
    const { rooms } = await rtcroom.getRoomList({ data: { index: all.length, cnt: PAGE } });
    all.push(...rooms);
    if (rooms.length < PAGE) break;
  }
  return all;
}

function makeRow(roomID) {
  const name = element('strong', { class: 'room-name' });
  const info = element('span', { class: 'room-info' });
  const time = element('span', { class: 'room-clock' });
  const label = element('span', { class: 'room-label' });
  const item = element('li', { class: 'room', 'data-room-id': roomID }, [
    element('div', { class: 'room-who' }, [name, info]),
    element('div', { class: 'room-since' }, [time, label]),
  ]);
  return { item, name, info, clock: time, label, button: null };
}

// Moves only what is not already in place, so that nothing loses its focus.
function place(list, items) {
  items.forEach((item, index) => {
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
  while (list.children.length > items.length) list.lastChild.remove();
}

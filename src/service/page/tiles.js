// The pictures of the others: one large, several in a grid.

import { element, say } from './element.js';
import { onLanguage, t } from './i18n.js';
import { chosen } from './devices.js';
import { nameOf } from './lobby.js';

// A member whose address changes quits and joins in one breath; its picture stays where it is.
const REMOVE_AFTER_MS = 50;

/** The grid of remote pictures; the first one's video has the id `remote-video`. */
export class Tiles {
  #place;
  #blocked;
  #tiles = new Map();

  /** `blocked(isBlocked)` tells whether the browser refuses to play sound before a click. */
  constructor(place, blocked) {
    this.#place = place;
    this.#blocked = blocked;
    onLanguage(() => { for (const tile of this.#tiles.values()) this.#describe(tile); });
  }

  get size() {
    return [...this.#tiles.values()].filter(({ leaving }) => !leaving).length;
  }

  add(pusher) {
    const tile = this.#tiles.get(pusher.userID) ?? this.#make(pusher.userID);
    clearTimeout(tile.leaving);
    tile.leaving = 0;
    tile.state = 'connecting';
    say(tile.name, nameOf(pusher));
    this.#describe(tile);
    this.#arrange();
  }

  remove({ userID }) {
    const tile = this.#tiles.get(userID);
    if (!tile || tile.leaving) return;
    tile.leaving = setTimeout(() => {
      tile.video.srcObject = null;
      tile.figure.remove();
      this.#tiles.delete(userID);
      this.#arrange();
    }, REMOVE_AFTER_MS);
  }

  show(userID, stream) {
    const tile = this.#tiles.get(userID);
    if (!tile || tile.video.srcObject === stream) return;
    tile.video.srcObject = stream;
    this.#play(tile.video);
  }

  /** The state of a member's media: connecting, live, recovering. */
  state(userID, state) {
    const tile = this.#tiles.get(userID);
    if (!tile) return;
    tile.state = state;
    this.#describe(tile);
  }

  /** Plays what the browser held back; called from a click. */
  playAll() {
    for (const { video } of this.#tiles.values()) this.#play(video);
  }

  useSpeaker() {
    for (const { video } of this.#tiles.values()) speakThrough(video);
  }

  clear() {
    for (const tile of this.#tiles.values()) {
      clearTimeout(tile.leaving);
      tile.video.srcObject = null;
    }
    this.#tiles.clear();
    this.#place.replaceChildren();
    this.#blocked(false);
  }

  #make(userID) {
    const video = element('video', { autoplay: true, playsinline: true });
    const name = element('figcaption', {});
    const note = element('div', { class: 'tile-note' });
    const figure = element('figure', { class: 'tile', 'data-user-id': userID }, [video, note, name]);
    const tile = { figure, video, name, note, state: 'connecting', leaving: 0 };
    video.addEventListener('playing', () => this.state(userID, 'live'));
    speakThrough(video);
    this.#tiles.set(userID, tile);
    this.#place.append(figure);
    return tile;
  }

  #arrange() {
    const tiles = [...this.#tiles.values()];
    tiles.forEach(({ video }, index) => {
      if (index === 0) video.id = 'remote-video';
      else video.removeAttribute('id');
    });
    this.#place.dataset.count = String(tiles.length);
  }

  #describe({ figure, note, state }) {
    figure.dataset.state = state;
    const words = { connecting: 'waiting_for_picture', recovering: 'picture_lost' };
    say(note, words[state] ? t(words[state]) : '');
    note.hidden = !words[state];
  }

  #play(video) {
    video.play().then(() => this.#blocked(false), (error) => {
      if (error.name === 'NotAllowedError') this.#blocked(true);
    });
  }
}

function speakThrough(video) {
  const { speaker = '' } = chosen();
  video.setSinkId?.(speaker).catch(() => {});
}

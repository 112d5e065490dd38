// The message socket: texts, commands, and word that something changed. Reconnects by itself and asks for what it missed.

import { CODE, RoomError } from './weapp.js';

const FIRST_RETRY_MS = 300;
const LONGEST_RETRY_MS = 8000;
const OPEN_LIMIT_MS = 8000;
const ACK_LIMIT_MS = 8000;
const REMEMBERED_EVENTS = 200;
// RoomService closes with these when the token has run out, and when a newer login of the same user replaced it.
const CLOSED_TOKEN_VOID = 4007;
const CLOSED_LOGGED_IN_ELSEWHERE = 4008;

/** One member's message socket. */
export class MessageSocket {
  #address;
  #handlers;
  #socket = null;
  #open = false;
  #closed = false;
  #failures = 0;
  #retry = 0;
  #nextId = 1;
  #unacknowledged = new Map();
  #waitingForOpen = new Set();
  #newest = new Map();
  #seen = [];

  /**
   * `address()` gives the current address. Handlers: `event(frame)` for everything of a room, `rooms()`, `gap(roomID)`,
   * `state(open)`, and `refused()` when it cannot be opened, which may mean that the token is no longer good,
   * and `elsewhere()` when a newer login ended it.
   */
  constructor(address, handlers) {
    this.#address = address;
    this.#handlers = handlers;
    this.#connect();
  }

  get isOpen() {
    return this.#open;
  }

  /** Sends a frame that is acknowledged; waits for the socket when it is just reconnecting. */
  async send(frame) {
    const limit = Date.now() + ACK_LIMIT_MS;
    if (!this.#open) await this.#untilOpen(ACK_LIMIT_MS);
    const id = this.#nextId++;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#unacknowledged.delete(id);
        reject(new RoomError(CODE.NO_ANSWER, 'the message was not acknowledged'));
      }, limit - Date.now());
      this.#unacknowledged.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ ...frame, id }));
    });
  }

  /** Opens a fresh socket: after a network change the old one can look open for many minutes. */
  reconnect() {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#drop();
    this.#connect();
  }

  /** Forgets how far a room's events were read. */
  forget(roomID) {
    this.#newest.delete(roomID);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#drop();
  }

  #connect() {
    let socket;
    try {
      socket = new WebSocket(this.#address());
    } catch {
      this.#lost();
      return;
    }
    this.#socket = socket;
    const timer = setTimeout(() => socket.close(), OPEN_LIMIT_MS);
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket || typeof data !== 'string') return;
      let frame;
      try {
        frame = JSON.parse(data);
      } catch {
        return;
      }
      if (frame.type === 'hello') clearTimeout(timer);
      this.#receive(frame);
    };
    socket.onclose = ({ code }) => {
      clearTimeout(timer);
      if (socket !== this.#socket) return;
      this.#drop();
      if (code === CLOSED_LOGGED_IN_ELSEWHERE) this.#handlers.elsewhere();
      this.#lost(code === CLOSED_TOKEN_VOID);
    };
  }

  #lost(tokenVoid = false) {
    if (this.#closed) return;
    const wait = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, LONGEST_RETRY_MS);
    this.#failures += 1;
    if (tokenVoid || this.#failures > 1) this.#handlers.refused();
    this.#retry = setTimeout(() => this.#connect(), wait * (0.75 + Math.random() / 2));
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    for (const { reject, timer } of this.#unacknowledged.values()) {
      clearTimeout(timer);
      reject(new RoomError(CODE.NO_ANSWER, 'the message socket closed before the message was acknowledged'));
    }
    this.#unacknowledged.clear();
    if (this.#open) {
      this.#open = false;
      this.#handlers.state(false);
    }
  }

  #receive(frame) {
    switch (frame.type) {
      case 'hello':
        this.#opened();
        break;
      case 'ack':
        this.#acknowledged(frame);
        break;
      case 'rooms':
        this.#handlers.rooms();
        break;
      case 'gap':
        this.#newest.set(frame.roomID, { kind: frame.kind, seq: frame.seq });
        this.#handlers.gap(frame.roomID);
        break;
      case 'notice':
      case 'text':
      case 'custom':
      case 'closed':
        this.#roomEvent(frame);
        break;
      default: // a newer server may say more
    }
  }

  #opened() {
    this.#open = true;
    this.#failures = 0;
    for (const [roomID, { kind, seq }] of this.#newest) {
      this.#socket.send(JSON.stringify({ type: 'resume', kind, roomID, after: seq }));
    }
    this.#handlers.state(true);
    for (const wake of this.#waitingForOpen) wake();
  }

  #acknowledged({ id, code, message }) {
    const pending = this.#unacknowledged.get(id);
    if (!pending) return;
    this.#unacknowledged.delete(id);
    clearTimeout(pending.timer);
    if (code === CODE.OK) pending.resolve({});
    else pending.reject(new RoomError(code, message));
  }

  #roomEvent(frame) {
    // A restarted server counts from the beginning again, so `seq` alone does not tell a repeat.
    const mark = `${frame.roomID} ${frame.type} ${frame.seq} ${frame.time ?? ''}`;
    if (frame.time !== undefined && this.#seen.includes(mark)) return;
    this.#seen.push(mark);
    if (this.#seen.length > REMEMBERED_EVENTS) this.#seen.shift();
    const before = this.#newest.get(frame.roomID)?.seq;
    this.#newest.set(frame.roomID, { kind: frame.kind, seq: frame.seq });
    this.#handlers.event(frame);
    if (before !== undefined && frame.seq > before + 1) this.#handlers.gap(frame.roomID);
  }

  async #untilOpen(limit) {
    await new Promise((resolve, reject) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waitingForOpen.delete(wake);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waitingForOpen.delete(wake);
        reject(new RoomError(CODE.NO_ANSWER, 'the message socket is not connected'));
      }, limit);
      this.#waitingForOpen.add(wake);
    });
  }
}

// One direction of media that keeps itself alive: opened again when it fails or when nothing moves any more.

import { Meter } from './meter.js';
import { exchange, gather, playing, publishing, release } from './whip.js';

const WATCH_EVERY_MS = 500;
const CONNECT_LIMIT_MS = 8000;
const STALL_MS = 3000;
const LONGEST_STALL_MS = 24000;
// Consent checks and RTCP come back at least every 2.5 s while the relay is there.
const SILENCE_MS = 6000;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 4000;
// So many attempts at a first connection are not spoken of.
const PATIENCE = 3;

class Link {
  #closed = false;
  #finished = null;
  #wake = () => {};
  #failures = 0;
  #token;
  #state = 'new';
  #wasLive = false;
  #on;

  /** `on.state(state, reason)` with 'connecting', 'live', 'recovering'; `on.trouble(error)`; `on.reading(reading)`. */
  constructor(address, token, on) {
    this.address = address;
    this.session = null;
    this.#token = token;
    this.#on = on;
  }

  get isLive() {
    return this.#state === 'live';
  }

  start() {
    this.#finished ??= this.#run();
    return this;
  }

  /** Opens a new session at once, on another address if one is given. */
  restart(address = this.address) {
    this.address = address;
    this.#failures = 0;
    if (this.session) this.session.abandoned = 'restarted';
    this.#wake();
  }

  /** Ends it and deletes the resource. */
  async close() {
    if (!this.#closed) {
      this.#closed = true;
      this.#wake();
      const session = this.session;
      this.session = null;
      await this.#release(session);
    }
    await this.#finished;
  }

  /** Ends it while the page goes away: nothing may be waited for. */
  abandon() {
    this.#closed = true;
    const session = this.session;
    this.session = null;
    this.#release(session);
  }

  async #run() {
    this.#say('connecting');
    while (!this.#closed) {
      const reason = await this.#oneSession().catch((error) => error);
      if (this.#closed) return;
      if (reason) {
        // A member that is only about to publish is no interruption.
        if (this.#wasLive || this.#failures >= PATIENCE) this.#say('recovering', reason);
        this.#on.trouble?.(reason);
        await this.#pause(this.#delay(reason));
      }
    }
  }

  // Resolves with why the session ended, or with nothing when it was only to be opened again.
  async #oneSession() {
    const session = { connection: this.prepare(), resource: null, abandoned: null, openedAt: performance.now() };
    this.session = session;
    try {
      await gather(session.connection);
      this.attach(session.connection);
      session.resource = await exchange(session.connection, this.address, this.#token());
      if (this.#closed || session.abandoned) return null;
      return await this.#watch(session);
    } finally {
      if (this.session === session) this.session = null;
      await this.#release(session);
    }
  }

  async #watch(session) {
    const meter = new Meter();
    const connection = session.connection;
    const wake = () => this.#wake();
    connection.addEventListener('connectionstatechange', wake);
    let connectedAt = 0;
    for (;;) {
      await this.#pause(WATCH_EVERY_MS);
      if (this.#closed || session.abandoned) return null;
      const state = connection.connectionState;
      if (state === 'failed' || state === 'closed') return new Error(`the connection ${state}`);
      const now = performance.now();
      if (state === 'connected' && !connectedAt) {
        connectedAt = now;
        this.connected(connection, now);
      }
      if (!connectedAt) {
        if (now - session.openedAt > CONNECT_LIMIT_MS) return new Error('no connection to the media relay');
        continue;
      }
      const reading = await meter.read(connection);
      const stall = this.judge(reading);
      if (stall) return new Error(stall);
      if (this.flows(reading)) {
        this.#failures = 0;
        this.#wasLive = true;
        this.#say('live');
      }
      this.#on.reading?.(reading);
    }
  }

  #say(state, reason = null) {
    if (state === this.#state) return;
    this.#state = state;
    this.#on.state?.(state, reason);
  }

  #delay(reason) {
    const failures = this.#failures;
    this.#failures += 1;
    if (failures === 0 && reason.name !== 'Refusal') return 0;
    const wait = Math.min(FIRST_RETRY_MS * 2 ** failures, reason.retryAfterMs ?? LONGEST_RETRY_MS, LONGEST_RETRY_MS);
    return wait * (0.75 + Math.random() / 2);
  }

  async #pause(ms) {
    if (this.#closed) return;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #release(session) {
    if (!session) return;
    session.connection.close();
    const { resource } = session;
    session.resource = null;
    await release(resource, this.#token());
  }
}

/** Sends this page's camera and microphone by WHIP. */
export class Publisher extends Link {
  #tracks;
  #maxBitrate;
  #heard = { value: 0, at: 0 };

  constructor(address, token, tracks, on, { maxBitrate = 2_000_000 } = {}) {
    super(address, token, on);
    this.#tracks = { ...tracks };
    this.#maxBitrate = maxBitrate;
  }

  /** Puts another track in place of the one being sent, without a new offer. */
  replaceTrack(kind, track) {
    this.#tracks[kind] = track;
    for (const { sender, receiver } of this.session?.connection.getTransceivers() ?? []) {
      if (receiver.track.kind === kind) sender.replaceTrack(track).catch(() => this.restart());
    }
  }

  prepare() {
    return publishing(this.#tracks);
  }

  attach() {}

  connected(connection, now) {
    this.#heard = { value: 0, at: now };
    for (const { sender, receiver } of connection.getTransceivers()) {
      if (receiver.track.kind !== 'video') continue;
      const parameters = sender.getParameters();
      for (const encoding of parameters.encodings ?? []) encoding.maxBitrate = this.#maxBitrate;
      sender.setParameters(parameters).catch(() => {});
    }
  }

  judge(reading) {
    if (reading.heard !== this.#heard.value) this.#heard = { value: reading.heard, at: reading.at };
    return reading.at - this.#heard.at > SILENCE_MS ? 'the media relay has fallen silent' : null;
  }

  flows() {
    return true;
  }
}

/** Brings one other member's media by WHEP. */
export class Player extends Link {
  #moved = { videoFrames: null, audioPackets: null };
  #expected = { videoFrames: false, audioPackets: false };
  #stalls = 0;
  #ready;
  #onStream;

  /** `ready` is a connection made beforehand whose candidates are already gathered; used for the first session. */
  constructor(address, token, onStream, on, ready = null) {
    super(address, token, on);
    this.#onStream = onStream;
    this.#ready = ready;
  }

  prepare() {
    const ready = this.#ready;
    this.#ready = null;
    return ready ?? playing();
  }

  attach(connection) {
    const stream = new MediaStream(connection.getReceivers().map((receiver) => receiver.track));
    connection.ontrack = () => this.#onStream(stream);
  }

  connected(_connection, now) {
    for (const what of Object.keys(this.#moved)) this.#moved[what] = { value: 0, at: now };
  }

  /** Says why this is dead: what moved once must go on moving, and something must move at all. */
  judge(reading) {
    const limit = Math.min(STALL_MS * 2 ** this.#stalls, LONGEST_STALL_MS);
    let newest = 0;
    let stalled = null;
    for (const [what, moved] of Object.entries(this.#moved)) {
      if (reading[what] !== moved.value) {
        Object.assign(moved, { value: reading[what], at: reading.at });
        this.#expected[what] = true;
      }
      newest = Math.max(newest, moved.at);
      if (this.#expected[what] && reading.at - moved.at > limit) stalled = what;
    }
    if (!stalled && reading.at - newest > limit) stalled = 'media';
    if (stalled) {
      this.#stalls += 1;
      return `no ${stalled} for ${Math.round(limit / 1000)} s`;
    }
    if (this.flows(reading) && reading.at - newest < WATCH_EVERY_MS * 2 && this.#allMove(reading.at)) this.#stalls = 0;
    return null;
  }

  flows(reading) {
    return reading.videoFrames > 0 || reading.audioPackets > 0;
  }

  #allMove(at) {
    return Object.entries(this.#moved).every(([what, moved]) => !this.#expected[what] || (moved.value > 0 && at - moved.at < STALL_MS / 2));
  }
}

/** A receiving connection with its candidates gathered, to be handed to a [`Player`]. */
export function preparePlayer() {
  const connection = playing();
  gather(connection).catch(() => {});
  return connection;
}

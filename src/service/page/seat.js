// A seat in one room: kept by heartbeats, filled again when it is lost, with the media of everybody in the room.

import { Player, preparePlayer, Publisher } from './link.js';
import { CODE } from './weapp.js';

const HEARTBEAT_MS = 5000;
const HEARTBEAT_WHEN_LOST_MS = 1000;
const POLL_MS = 20000;
const REJOIN_FIRST_MS = 300;
const REJOIN_LONGEST_MS = 3000;
// A room that is full, forbidden or gone may come back: after a restart of the server the others need a moment, too.
const REJOIN_REFUSED_FOR_MS = 30000;

const REFUSALS = [CODE.ROOM_FULL, CODE.FORBIDDEN, CODE.NO_ROOM];
const SEAT_LOST = [CODE.NOT_A_MEMBER, CODE.NO_ROOM];

/** This page's membership of one room. */
export class Seat {
  #weapp;
  #on;
  #member;
  #pushURL;
  #publisher = null;
  #players = new Map();
  #others = new Map();
  #room;
  #listed = false;
  #ready = null;
  #entered = false;
  #closed = false;
  #lost = false;
  #tokenOfSeat = '';
  #refreshing = null;
  #refreshAgain = false;
  #rejoining = null;
  #wakeHeart = () => {};
  #pollTimer = 0;

  /**
   * `on` hears `list(pushers)`, `join(pushers)`, `quit(pushers)`, `ended(error)`, `refused(error)`, `stream(userID, stream)`,
   * `state({part, state, userID, reason})` and `reading({part, userID, reading})`.
   */
  constructor({ weapp, roomID, roomInfo = '', pushURL = null, member, tracks, on }) {
    this.#weapp = weapp;
    this.#on = on;
    this.#member = member;
    this.#pushURL = pushURL;
    this.#room = { roomID, roomInfo, roomCreator: '', mixedPlayURL: '' };
    this.tracks = { ...tracks };
  }

  get roomID() {
    return this.#room.roomID;
  }

  /** The room as last heard of, this page's own user left out. */
  get room() {
    return { ...this.#room, pushers: [...this.#others.values()] };
  }

  /** Publishing, taking the seat and asking who is there go side by side. */
  async enter() {
    this.#ready = preparePlayer();
    try {
      this.#pushURL ??= await this.#askPushURL();
      this.#publisher = this.#publish();
      const seated = this.#takeSeat().catch((error) => this.#takeSeatElsewhere(error));
      const [, room] = await Promise.all([seated, this.#askPushers().catch(() => null)]);
      if (this.#closed) return;
      this.#entered = true;
      if (room) this.#merge(room);
      else await this.refresh();
    } catch (error) {
      this.#closed = true;
      this.#dropReady();
      this.#publisher?.close();
      throw error;
    }
    this.#dropReady();
    this.#keepHeartBeating();
    this.#pollTimer = setInterval(() => this.refresh(), POLL_MS);
  }

  /** Leaves the seat and deletes what was published and played. */
  async exit() {
    this.#stop();
    const goodbye = this.#weapp.call('delete_pusher', this.#who()).catch((error) => {
      if (!SEAT_LOST.includes(error.code)) throw error;
    });
    await Promise.allSettled([goodbye, this.#publisher?.close(), ...[...this.#players.values()].map((player) => player.close())]);
  }

  /** Leaves while the page goes away. */
  abandon() {
    this.#stop();
    this.#publisher?.abandon();
    for (const player of this.#players.values()) player.abandon();
    this.#weapp.call('delete_pusher', this.#who(), { keepalive: true }).catch(() => {});
  }

  /** Puts another camera or microphone track in place. */
  replaceTrack(kind, track) {
    this.tracks[kind] = track;
    this.#publisher?.replaceTrack(kind, track);
  }

  /** Looks at once whether the server is there and the seat still ours. */
  checkNow() {
    this.#wakeHeart();
  }

  /** Fetches the members and tells what changed. */
  async refresh() {
    if (this.#refreshing) {
      this.#refreshAgain = true;
      return await this.#refreshing;
    }
    this.#refreshing = this.#refresh().finally(() => { this.#refreshing = null; });
    return await this.#refreshing;
  }

  async #refresh() {
    do {
      this.#refreshAgain = false;
      try {
        const room = await this.#askPushers();
        if (this.#closed || !this.#entered) return;
        this.#merge(room);
        if (!room.pushers.some(({ userID }) => userID === this.#weapp.userID)) this.checkNow();
      } catch {
        this.checkNow();
      }
    } while (this.#refreshAgain && !this.#closed);
  }

  #stop() {
    this.#closed = true;
    clearInterval(this.#pollTimer);
    this.#wakeHeart();
    this.#dropReady();
  }

  #who() {
    return { roomID: this.#room.roomID, userID: this.#weapp.userID };
  }

  async #askPushURL() {
    return (await this.#weapp.call('get_push_url', this.#who())).pushURL;
  }

  async #askPushers() {
    return await this.#weapp.call('get_pushers', { roomID: this.#room.roomID });
  }

  async #takeSeat() {
    await this.#weapp.call('add_pusher', { ...this.#who(), ...this.#member, pushURL: this.#pushURL, roomInfo: this.#room.roomInfo });
    this.#tokenOfSeat = this.#weapp.token;
  }

  // A push address asked for early is void once the server was restarted, and the page may not have heard of that yet.
  async #takeSeatElsewhere(error) {
    if (error.code !== CODE.BAD_REQUEST || this.#closed) throw error;
    this.#pushURL = await this.#askPushURL();
    if (this.#closed) throw error;
    this.#publisher.restart(this.#pushURL);
    await this.#takeSeat();
  }

  async #keepHeartBeating() {
    while (!this.#closed) {
      await this.#untilNextBeat();
      if (this.#closed) return;
      try {
        await this.#weapp.call('pusher_heartbeat', this.#who());
        this.#serverIs(true);
      } catch (error) {
        await this.#heartbeatFailed(error);
      }
    }
  }

  async #untilNextBeat() {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#lost ? HEARTBEAT_WHEN_LOST_MS : HEARTBEAT_MS);
      this.#wakeHeart = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #heartbeatFailed(error) {
    if (this.#closed) return;
    if (error.code === CODE.NO_ANSWER) {
      this.#serverIs(false);
    } else if (error.code === CODE.REFUSED) {
      this.#on.refused(error);
      await new Promise((resolve) => { setTimeout(resolve, HEARTBEAT_WHEN_LOST_MS); });
    } else if (SEAT_LOST.includes(error.code)) {
      this.#serverIs(true);
      await this.#rejoin();
    }
  }

  #serverIs(there) {
    if (this.#lost !== there) return;
    this.#lost = !there;
    this.#on.state({ part: 'server', state: there ? 'live' : 'recovering' });
    if (there) this.refresh();
  }

  // Takes the seat again. The stream is kept when it still flows; after a restart of the server nothing of the old is good.
  async #rejoin({ freshStream = false } = {}) {
    this.#rejoining ??= this.#takeSeatAgain(freshStream).finally(() => { this.#rejoining = null; });
    await this.#rejoining;
  }

  async #takeSeatAgain(freshStream) {
    const restarted = this.#weapp.token !== this.#tokenOfSeat;
    let fresh = freshStream || restarted || !this.#publisher.isLive;
    const began = performance.now();
    this.#on.state({ part: 'seat', state: 'recovering' });
    for (let wait = REJOIN_FIRST_MS; !this.#closed; wait = Math.min(wait * 2, REJOIN_LONGEST_MS)) {
      try {
        if (fresh) {
          this.#pushURL = await this.#askPushURL();
          fresh = false;
          if (this.#closed) return;
          this.#publisher.restart(this.#pushURL);
        }
        await this.#takeSeat();
        if (restarted) for (const player of this.#players.values()) player.restart();
        await this.refresh();
        this.#on.state({ part: 'seat', state: 'live' });
        return;
      } catch (error) {
        if (error.code === CODE.BAD_REQUEST) fresh = true;
        if (error.code === CODE.REFUSED) this.#on.refused(error);
        if (REFUSALS.includes(error.code) && performance.now() - began > REJOIN_REFUSED_FOR_MS) {
          this.#on.ended(error);
          return;
        }
        await new Promise((resolve) => { setTimeout(resolve, wait); });
      }
    }
  }

  // Joins and quits are worked out from the whole list; another address of the same user is a quit and a join.
  #merge({ roomInfo, roomCreator, mixedPlayURL, pushers = [] }) {
    const before = this.#others;
    const others = new Map(pushers.filter(({ userID }) => userID !== this.#weapp.userID).map((pusher) => [pusher.userID, pusher]));
    const differs = (a, b) => a?.accelerateURL !== b.accelerateURL;
    const gone = [...before.values()].filter((pusher) => differs(others.get(pusher.userID), pusher));
    const come = [...others.values()].filter((pusher) => differs(before.get(pusher.userID), pusher));
    const first = !this.#listed;
    this.#others = others;
    this.#room = { ...this.#room, roomInfo: roomInfo || this.#room.roomInfo, roomCreator, mixedPlayURL };
    this.#listed = true;
    for (const { userID } of gone) {
      this.#players.get(userID)?.close();
      this.#players.delete(userID);
    }
    if (gone.length) this.#on.quit(gone.map((pusher) => ({ ...pusher, replaced: others.has(pusher.userID) })));
    for (const pusher of come) this.#play(pusher);
    if (first) this.#on.list(come);
    else if (come.length) this.#on.join(come);
  }

  #publish() {
    return new Publisher(this.#pushURL, () => this.#weapp.token, this.tracks, {
      state: (state, reason) => this.#on.state({ part: 'publish', state, reason }),
      reading: (reading) => this.#on.reading({ part: 'publish', reading }),
      trouble: (error) => this.#publishTrouble(error),
    }).start();
  }

  #play({ userID, accelerateURL }) {
    const ready = this.#ready;
    this.#ready = null;
    const player = new Player(accelerateURL, () => this.#weapp.token, (stream) => this.#on.stream(userID, stream), {
      state: (state, reason) => this.#on.state({ part: 'play', userID, state, reason }),
      reading: (reading) => this.#on.reading({ part: 'play', userID, reading }),
      trouble: (error) => this.#playTrouble(error),
    }, ready);
    this.#players.set(userID, player.start());
  }

  #publishTrouble({ status }) {
    if (!this.#entered || this.#closed) return;
    if (status === 401) this.checkNow();
    else if (status >= 400 && status < 500) this.#rejoin({ freshStream: true });
  }

  #playTrouble({ status }) {
    if (this.#closed) return;
    if (status === 401 || status === 403) this.checkNow();
    else this.refresh();
  }

  #dropReady() {
    this.#ready?.close();
    this.#ready = null;
  }
}

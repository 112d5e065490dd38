// RTCRoom for a web page: the calls and listeners of the original web client, on WHIP and WHEP.
//
// Every call takes `{data, success, fail}` as the original did, and gives a promise as well:
//
//     import rtcroom from './rtcroom.js';
//     rtcroom.setListener({onPusherJoin({pushers}) {}, onRecvRoomTextMsg({userID, textMsg}) {}, onRemoteStream({userID, stream}) {}});
//     await rtcroom.login({data: {serverDomain, userID, userSig, sdkAppID}});
//     const {rooms} = await rtcroom.getRoomList({data: {index: 0, cnt: 20}});
//     await rtcroom.enterRoom({data: {roomID: rooms[0].roomID, tracks: {audio, video}}});
//     await rtcroom.exitRoom();
//
// It recovers by itself: from a restarted RoomService, a lost network, a relay or a member whose media stops.

import { MessageSocket } from './im.js';
import { Seat } from './seat.js';
import { CODE, RoomError, Weapp } from './weapp.js';

export { CODE, RoomError };

// A push address fetched before it is needed is used only while it is young.
const PUSH_URL_FRESH_MS = 5 * 60 * 1000;

/** One user at one RoomService, in one room at a time. */
export class RtcRoom {
  #listener = {};
  #account = null;
  #weapp = null;
  #im = null;
  #seat = null;
  #warmPushURL = null;

  constructor() {
    addEventListener('pagehide', () => this.#pageHides());
    addEventListener('online', () => this.#networkBack());
  }

  /**
   * Sets all listeners at once: `onGetPusherList`, `onPusherJoin`, `onPusherQuit`, `onRecvRoomTextMsg`, `onRecvRoomCustomMsg`,
   * `onRoomClose`; and beyond the original `onRemoteStream({userID, stream})`, `onRoomListChange()`,
   * `onStateChange({part, state, userID, reason})` (part: server, messages, seat, publish, play; state: connecting, live,
   * recovering), `onReading({part, userID, reading})`, `onPusherGoodbye({userID})` for who leaves by its own wish, and
   * `onLoggedOut(error)`.
   */
  setListener(listener) {
    this.#listener = listener ?? {};
  }

  /** Logs in; `data`: serverDomain, userID, userSig, sdkAppID, accType, userName, userAvatar. */
  login(options) {
    return this.#answer(options, async (data) => {
      if (!data.serverDomain || !data.userID || !data.userSig) {
        throw new RoomError(CODE.BAD_ARGUMENTS, 'serverDomain, userID and userSig are needed');
      }
      await this.#leaveEverything();
      // A message socket can look open long after the network went away.
      const weapp = new Weapp(data, () => weapp === this.#weapp && this.#im?.reconnect());
      await weapp.login();
      this.#weapp = weapp;
      this.#account = { userID: data.userID, userName: data.userName || data.userID, userAvatar: data.userAvatar ?? '' };
      this.#openMessages();
      return { userID: data.userID, userName: this.#account.userName };
    });
  }

  /** Leaves the room, if in one, and ends the token. */
  logout(options) {
    return this.#answer(options, async () => {
      const weapp = this.#weapp;
      await this.#leaveEverything();
      await weapp?.logout().catch(() => {});
      return {};
    });
  }

  /** `{rooms}`; `data`: index, cnt. */
  getRoomList(options) {
    return this.#answer(options, async ({ index = 0, cnt = 20 }) => {
      const { rooms } = await this.#need().call('get_room_list', { index, cnt });
      return { rooms: rooms ?? [] };
    });
  }

  /** `{roomID}`; makes a room without entering it; `data`: roomInfo, and roomID to choose it. */
  createRoom(options) {
    return this.#answer(options, async ({ roomID = '', roomInfo = '' }) => {
      const answer = await this.#need().call('create_room', { userID: this.#account.userID, roomID, roomInfo });
      return { roomID: answer.roomID };
    });
  }

  /** `{pushURL}`; asked for early, it saves a round trip when entering. */
  getPushURL(options) {
    return this.#answer(options, async ({ roomID = '' }) => {
      const { pushURL } = await this.#need().call('get_push_url', { userID: this.#account.userID, roomID });
      this.#warmPushURL = { pushURL, at: Date.now() };
      return { pushURL };
    });
  }

  /** Enters a room and publishes; `data`: roomID, roomInfo, pushURL, and tracks `{audio, video}` to send. */
  enterRoom(options) {
    return this.#answer(options, async ({ roomID, roomInfo = '', pushURL = null, tracks = {} }) => {
      const weapp = this.#need();
      if (!roomID) throw new RoomError(CODE.BAD_ARGUMENTS, 'roomID is needed');
      if (this.#seat) await this.exitRoom();
      const { userName, userAvatar } = this.#account;
      const seat = new Seat({
        weapp, roomID, roomInfo, tracks,
        pushURL: pushURL ?? this.#takeWarmPushURL(),
        member: { userName, userAvatar },
        on: this.#seatListener(() => this.#seat === seat),
      });
      this.#seat = seat;
      try {
        await seat.enter();
      } catch (error) {
        if (this.#seat === seat) this.#seat = null;
        throw error;
      }
      return { roomID };
    });
  }

  /** Leaves the room; leaving when in none is no error. */
  exitRoom(options) {
    return this.#answer(options, async () => {
      const seat = this.#seat;
      this.#seat = null;
      if (seat) this.#im?.forget(seat.roomID);
      await seat?.exit();
      return {};
    });
  }

  /** The room and its pushers, oneself left out; `data`: roomID. */
  getPushers(options) {
    return this.#answer(options, async ({ roomID }) => {
      const room = await this.#need().call('get_pushers', { roomID });
      return {
        roomID: room.roomID,
        roomInfo: room.roomInfo,
        roomCreator: room.roomCreator,
        mixedPlayURL: room.mixedPlayURL,
        pushers: (room.pushers ?? []).filter(({ userID }) => userID !== this.#account.userID),
      };
    });
  }

  /** Sends a text to everybody in the room; resolves when the server has it; `data`: msg. */
  sendRoomTextMsg(options) {
    return this.#answer(options, async ({ msg }) => await this.#send({ type: 'text', text: String(msg ?? '') }));
  }

  /** Sends a command to everybody in the room; `data`: cmd, msg. */
  sendRoomCustomMsg(options) {
    return this.#answer(options, async ({ cmd, msg }) => await this.#send({ type: 'custom', cmd: String(cmd ?? ''), msg: String(msg ?? '') }));
  }

  /** Sends another camera or microphone track from now on. */
  replaceTrack(kind, track) {
    this.#seat?.replaceTrack(kind, track);
  }

  getAccountInfo() {
    return { ...this.#account };
  }

  getRoomInfo() {
    return this.#seat ? this.#seat.room : null;
  }

  #answer(options, work) {
    const promise = Promise.resolve(options?.data ?? {}).then(work);
    if (options?.success || options?.fail) promise.then((value) => options.success?.(value), (error) => options.fail?.(error));
    return promise;
  }

  #need() {
    if (!this.#weapp) throw new RoomError(CODE.BAD_ARGUMENTS, 'not logged in');
    return this.#weapp;
  }

  #tell(name, ...details) {
    try {
      this.#listener[name]?.(...details);
    } catch (error) {
      console.error(`${name}:`, error);
    }
  }

  #openMessages() {
    const weapp = this.#weapp;
    let tokenOfSocket = '';
    const address = () => {
      tokenOfSocket = weapp.token;
      return weapp.imAddress;
    };
    this.#im = new MessageSocket(address, {
      event: (frame) => this.#roomEvent(frame),
      rooms: () => this.#tell('onRoomListChange'),
      gap: (roomID) => this.#seat?.roomID === roomID && this.#seat.refresh(),
      state: (open) => {
        this.#tell('onStateChange', { part: 'messages', state: open ? 'live' : 'recovering' });
        if (!open) return;
        this.#seat?.refresh();
        this.#tell('onRoomListChange');
      },
      refused: () => this.#checkToken(weapp),
      // Our own renewal ends the old socket in the same way, and is no reason to give way.
      elsewhere: () => {
        if (weapp === this.#weapp && weapp.token === tokenOfSocket && !weapp.renewing) this.#tell('onLoggedOut', weapp.elsewhere());
      },
    });
  }

  // A socket that does not open says nothing of the reason, so a cheap call finds out whether the token is still good.
  async #checkToken(weapp) {
    const before = weapp.token;
    try {
      await weapp.call('get_room_list', { index: 0, cnt: 1 });
      if (weapp === this.#weapp && weapp.token !== before) this.#im?.reconnect();
    } catch (error) {
      if (weapp === this.#weapp && error.code === CODE.REFUSED) this.#tell('onLoggedOut', error);
    }
  }

  #roomEvent(frame) {
    const seat = this.#seat;
    if (!seat || frame.roomID !== seat.roomID || frame.kind !== this.#weapp.kind) return;
    const { roomID } = frame;
    if (frame.type === 'notice') {
      if (frame.leftID !== undefined) this.#tell('onPusherGoodbye', { userID: frame.leftID });
      seat.refresh();
    } else if (frame.type === 'closed') {
      this.#roomEnded({});
    } else {
      const { userID, userName, userAvatar } = frame.from;
      const sender = { roomID, userID, userName, userAvatar, nickName: userName, headPic: userAvatar, time: clock(frame.time) };
      if (frame.type === 'text') this.#tell('onRecvRoomTextMsg', { ...sender, textMsg: frame.text });
      else this.#tell('onRecvRoomCustomMsg', { ...sender, cmd: frame.cmd, msg: frame.msg });
    }
  }

  #seatListener(isCurrent) {
    const tell = (name, detail) => isCurrent() && this.#tell(name, detail);
    return {
      list: (pushers) => tell('onGetPusherList', { pushers }),
      join: (pushers) => tell('onPusherJoin', { pushers }),
      quit: (pushers) => tell('onPusherQuit', { pushers }),
      stream: (userID, stream) => tell('onRemoteStream', { userID, stream }),
      reading: (detail) => tell('onReading', detail),
      refused: (error) => tell('onLoggedOut', error),
      ended: (error) => isCurrent() && this.#roomEnded({ error }),
      state: (detail) => tell('onStateChange', detail),
    };
  }

  #roomEnded(detail) {
    const { roomID } = this.#seat;
    this.exitRoom().catch(() => {});
    this.#tell('onRoomClose', { roomID, ...detail });
  }

  async #send(frame) {
    if (!this.#seat) throw new RoomError(CODE.NOT_A_MEMBER, 'not in a room');
    return await this.#im.send({ ...frame, kind: this.#weapp.kind, roomID: this.#seat.roomID });
  }

  #takeWarmPushURL() {
    const warm = this.#warmPushURL;
    this.#warmPushURL = null;
    return warm && Date.now() - warm.at < PUSH_URL_FRESH_MS ? warm.pushURL : null;
  }

  async #leaveEverything() {
    await this.exitRoom().catch(() => {});
    this.#im?.close();
    this.#im = null;
    this.#weapp = null;
    this.#account = null;
    this.#warmPushURL = null;
  }

  #networkBack() {
    this.#im?.reconnect();
    this.#seat?.checkNow();
    this.#tell('onRoomListChange');
  }

  #pageHides() {
    this.#seat?.abandon();
    this.#seat = null;
  }
}

function clock(unixMs) {
  return new Date(unixMs).toTimeString().slice(0, 8);
}

/** The page's one RTCRoom. */
const rtcroom = new RtcRoom();
export default rtcroom;

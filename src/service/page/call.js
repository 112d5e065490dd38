// One call on the screen: from the answer to the hang-up.

import { Capture } from './capture.js';
import { clock, element, say } from './element.js';
import { onLanguage, t } from './i18n.js';
import { nameOf } from './lobby.js';
import { grade } from './meter.js';
import rtcroom, { CODE } from './rtcroom.js';
import { troubleSentences } from './settings.js';
import { Tiles } from './tiles.js';

// How long the clerk stays when the customer has gone; longer after trouble, when the customer may be on the way back.
const GOODBYE_LIMIT_MS = 800;
const ALONE_MS = 4000;
const ALONE_AFTER_TROUBLE_MS = 30000;
const TROUBLE_REMEMBERED_MS = 40000;
const find = (id) => document.getElementById(id);

/** The call screen. `on.ended(sentence)` brings the clerk back to the list. */
export class Call {
  #on;
  #chat;
  #current = null;
  #tiles = new Tiles(find('tiles'), (blocked) => { find('hear').hidden = !blocked; });

  constructor(chat, on) {
    this.#chat = chat;
    this.#on = on;
    find('hangup').addEventListener('click', () => this.hangUp());
    find('mute').addEventListener('click', () => this.#toggleMute());
    find('camera').addEventListener('click', () => this.#toggleCamera());
    find('hear').addEventListener('click', () => this.#tiles.playAll());
    onLanguage(() => this.#current && this.#drawAll());
  }

  get isOn() {
    return this.#current !== null;
  }

  /** The picture being sent. */
  get preview() {
    return this.#current?.capture.preview ?? null;
  }

  /** Answers a waiting room; `wish` says which of camera and microphone to open. */
  async answer(room, wish) {
    const name = nameOf(room.customer);
    const capture = new Capture(() => [rtcroom.getAccountInfo().userName, t('slate_off')], {
      track: (kind, track) => {
        rtcroom.replaceTrack(kind, track);
        if (kind === 'video') find('local-video').srcObject = new MediaStream([track]);
      },
      change: () => this.#drawDevices(),
    });
    const call = {
      room, name, capture,
      since: performance.now(),
      troubles: new Map(),
      troubleAt: -Infinity,
      alone: null,
      goodbye: false,
      readings: {},
      ticking: setInterval(() => this.#tick(), 250),
    };
    this.#current = call;
    this.#chat.clear();
    this.#drawAll();
    // The tracks go in when they come; neither a permission prompt nor a slow camera holds up the connection.
    capture.open(wish);
    try {
      await rtcroom.enterRoom({ data: { roomID: room.roomID } });
    } catch (error) {
      if (this.#current !== call) return;
      const sentence = await refusalSentence(error, room);
      if (this.#current === call) this.#end(sentence, true);
    }
  }

  hangUp() {
    const call = this.#current;
    if (!call) return;
    this.#end(t('call_ended', { name: call.name, time: clock(performance.now() - call.since) }));
    this.#sayGoodbye();
  }

  // With the goodbye the kiosk ends the call at once; without it, it would wait for us to come back.
  async #sayGoodbye() {
    const goodbye = rtcroom.sendRoomCustomMsg({ data: { cmd: 'hangup', msg: '' } }).catch(() => {});
    await Promise.race([goodbye, new Promise((resolve) => { setTimeout(resolve, GOODBYE_LIMIT_MS); })]);
    await rtcroom.exitRoom().catch(() => {});
  }

  /** Changes over to a newly chosen device. */
  async deviceChosen(what) {
    this.#tiles.useSpeaker();
    if (what !== 'speaker') await this.#current?.capture.reopen(what);
  }

  membersAre(pushers) {
    if (!this.#current) return;
    for (const pusher of pushers) this.#tiles.add(pusher);
    this.#countMembers();
  }

  membersLeft(pushers) {
    if (!this.#current) return;
    for (const pusher of pushers) this.#tiles.remove(pusher);
    this.#countMembers();
  }

  /** Whoever left wanted to, and is not on the way back, whatever trouble there was. */
  saidGoodbye() {
    const call = this.#current;
    if (!call) return;
    call.goodbye = true;
    if (call.alone) call.alone.until = Math.min(call.alone.until, performance.now() + ALONE_MS);
  }

  stream({ userID, stream }) {
    if (this.#current) this.#tiles.show(userID, stream);
  }

  state({ part, state, userID, reason }) {
    const call = this.#current;
    if (!call) return;
    if (part === 'play') this.#tiles.state(userID, state);
    const key = part === 'play' ? `play ${userID}` : part;
    if (state === 'recovering') {
      call.troubles.set(key, reason ?? true);
      call.troubleAt = performance.now();
    } else if (state === 'live') {
      call.troubles.delete(key);
    }
    this.#drawNote();
  }

  reading({ part, reading }) {
    if (!this.#current) return;
    this.#current.readings[part] = reading;
    this.#drawQuality();
  }

  closed({ error }) {
    const call = this.#current;
    if (!call) return;
    const time = clock(performance.now() - call.since);
    this.#end(t('call_closed', { name: call.name, time }), Boolean(error));
  }

  /** Ends what is on the screen without a word, when the clerk is signed out. */
  drop() {
    if (this.#current) this.#end('');
  }

  #end(sentence, isTrouble = false) {
    const call = this.#current;
    this.#current = null;
    clearInterval(call.ticking);
    call.capture.close();
    this.#tiles.clear();
    find('local-video').srcObject = null;
    find('stage-note').hidden = true;
    this.#on.ended(sentence, isTrouble);
  }

  #countMembers() {
    const call = this.#current;
    if (this.#tiles.size > 0) {
      call.alone = null;
      call.goodbye = false;
    } else if (!call.alone) {
      delete call.readings.play;
      this.#drawQuality();
      const inTrouble = call.troubles.size > 0 || performance.now() - call.troubleAt < TROUBLE_REMEMBERED_MS;
      call.alone = { until: performance.now() + (inTrouble && !call.goodbye ? ALONE_AFTER_TROUBLE_MS : ALONE_MS) };
    }
    this.#drawNote();
  }

  #tick() {
    const call = this.#current;
    const now = performance.now();
    say(find('call-clock'), clock(now - call.since));
    if (!call.alone) return;
    if (now < call.alone.until) {
      this.#drawNote();
      return;
    }
    const time = clock(now - call.since);
    this.#end(t('call_ended_by_customer', { name: call.name, time }));
    rtcroom.exitRoom().catch(() => {});
  }

  #toggleMute() {
    const { capture } = this.#current;
    capture.setMuted(!capture.muted);
  }

  #toggleCamera() {
    const { capture } = this.#current;
    capture.setCamera(!capture.cameraIsOn);
  }

  #drawAll() {
    const { room, name } = this.#current;
    say(find('call-name'), name);
    say(find('call-room'), [room.roomInfo, room.roomID].filter((text) => text && text !== name).join(' · '));
    this.#drawNote();
    this.#drawDevices();
    this.#drawQuality();
  }

  // What stands in the middle of the stage; the tiles tell of their own pictures.
  #drawNote() {
    const call = this.#current;
    const note = find('stage-note');
    let text = '';
    if (call.troubles.has('server')) text = t('lost_server');
    else if (call.alone) text = t('customer_left', { name: call.name });
    else if (call.troubles.has('seat')) text = t('seat_lost');
    else if (this.#tiles.size === 0) text = t('connecting_to', { name: call.name });
    note.hidden = text === '';
    const interrupted = call.troubles.has('publish');
    say(find('local-caption'), t(interrupted ? 'own_lost' : 'you'));
    find('local-caption').parentElement.classList.toggle('is-interrupted', interrupted);
    const seconds = call.alone ? Math.ceil((call.alone.until - performance.now()) / 1000) : 0;
    const drawn = `${text} ${call.alone ? 'alone' : ''}`;
    if (note.dataset.drawn !== drawn) {
      note.dataset.drawn = drawn;
      note.replaceChildren(element('p', { text }));
      if (call.alone) note.append(this.#backButton());
    }
    const back = note.querySelector('button');
    if (back && seconds > 0) say(back, `${t('back_now')} (${seconds})`);
  }

  #backButton() {
    return element('button', { type: 'button', class: 'secondary', on: { click: () => this.hangUp() } });
  }

  #drawDevices() {
    const call = this.#current;
    if (!call) return;
    const { capture } = call;
    toggle(find('mute'), capture.muted, t(capture.muted ? 'unmute' : 'mute'));
    toggle(find('camera'), !capture.cameraIsOn, t(capture.cameraIsOn ? 'camera_off' : 'camera_on'));
    find('local-video').classList.toggle('is-mirrored', capture.cameraIsOn);
    const sentences = troubleSentences(capture.trouble);
    const panel = find('device-trouble');
    panel.hidden = sentences.length === 0;
    const text = sentences.length ? [...sentences, t('trouble_goes_on')].join(' ') : '';
    if (panel.dataset.drawn === text) return;
    panel.dataset.drawn = text;
    panel.replaceChildren(element('p', { text }), element('button', { type: 'button', class: 'secondary', text: t('try_again'), on: { click: () => capture.retry() } }));
  }

  #drawQuality() {
    const target = find('quality');
    const reading = this.#current.readings.play;
    const verdict = reading ? grade(reading) : 'none';
    target.dataset.grade = verdict;
    if (!reading || verdict === 'none') {
      say(target, t('quality_none'));
      return;
    }
    const line = t('quality_line', {
      size: reading.width ? `${reading.width}×${reading.height}` : '–',
      fps: Math.round(reading.fps),
      rate: rate(reading.bitsPerSecond),
      loss: reading.lossPercent.toFixed(reading.lossPercent < 10 ? 1 : 0),
      rtt: reading.rttMs === null ? '–' : Math.round(reading.rttMs),
    });
    say(target, `${t(`quality_${verdict}`)} · ${line}`);
  }
}

// The label says what a press does, so `aria-pressed` would say it twice.
function toggle(button, isOff, label) {
  button.dataset.off = String(isOff);
  say(button, label);
}

function rate(bitsPerSecond) {
  return bitsPerSecond >= 1e6 ? `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bitsPerSecond / 1000)} kbit/s`;
}

// Why a room could not be answered; of a full one, who was quicker.
async function refusalSentence(error, room) {
  const name = nameOf(room.customer);
  if (error.code === CODE.ROOM_FULL) {
    const members = await rtcroom.getPushers({ data: { roomID: room.roomID } }).catch(() => null);
    const clerk = members?.pushers.find(({ userID }) => userID !== room.customer.userID);
    return clerk ? t('answered_by', { clerk: nameOf(clerk), name }) : t('answered_by_other', { name });
  }
  if (error.code === CODE.NO_ROOM) return t('no_longer_waiting', { name });
  if (error.code === CODE.FORBIDDEN) return t('forbidden_room', { name });
  if (error.code === CODE.NO_ANSWER) return t('server_away');
  return t('answer_failed', { name, message: error.message });
}

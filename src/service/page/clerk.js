// The clerk's page: signs in, shows who waits, carries calls.

import { Call } from './call.js';
import { Chat } from './chat.js';
import * as devices from './devices.js';
import { say } from './element.js';
import { currentLanguage, languages, onLanguage, setLanguage, startLanguage, t } from './i18n.js';
import { Lobby } from './lobby.js';
import { Login, takeHandover } from './login.js';
import { Ring } from './ring.js';
import rtcroom, { CODE } from './rtcroom.js';
import { Settings } from './settings.js';

const REMEMBERED_WISH = 'rtcroom.answerWith';
const WISHES = {
  both: { camera: true, microphone: true },
  audio: { camera: false, microphone: true },
  none: { camera: false, microphone: false },
};
const TITLE_BLINK_MS = 1000;
const find = (id) => document.getElementById(id);

const handover = takeHandover();
const lost = new Set();
let notice = null;
let signedIn = false;

const ring = new Ring(drawTop);
const chat = new Chat();
const call = new Call(chat, { ended: callEnded });
const lobby = new Lobby({ answer, waiting: waitingChanged, server: (there, error) => serverIs('list', there, error) });
const login = new Login(handover.kind, started);
const settings = new Settings({
  inCall: () => call.isOn,
  preview: () => call.preview,
  testSound: () => ring.sound(),
  chosen: async (what) => {
    ring.useSpeaker(devices.chosen().speaker ?? '');
    await call.deviceChosen(what);
  },
});

rtcroom.setListener({
  onGetPusherList: ({ pushers }) => call.membersAre(pushers),
  onPusherJoin: ({ pushers }) => call.membersAre(pushers),
  onPusherQuit: ({ pushers }) => call.membersLeft(pushers),
  onPusherGoodbye: () => call.saidGoodbye(),
  onRemoteStream: (detail) => call.stream(detail),
  onReading: (detail) => call.reading(detail),
  onRecvRoomTextMsg: (message) => chat.received(message),
  onRoomClose: (detail) => call.closed(detail),
  onRoomListChange: () => lobby.refresh(),
  onLoggedOut: signedOut,
  onStateChange: (detail) => {
    call.state(detail);
    if (detail.part === 'server') serverIs('seat', detail.state === 'live');
  },
});

find('ring').addEventListener('click', () => ring.switch(!ring.on));
find('open-settings').addEventListener('click', () => settings.open());
find('call-settings').addEventListener('click', () => settings.open());
find('language').addEventListener('click', () => setLanguage(otherLanguage()));
find('sign-out').addEventListener('click', () => leave(null));
find('allow-now').addEventListener('click', allowDevices);
find('answer-with').value = localStorage.getItem(REMEMBERED_WISH) ?? 'both';
find('answer-with').addEventListener('change', ({ target }) => localStorage.setItem(REMEMBERED_WISH, target.value));
addEventListener('beforeunload', (event) => call.isOn && event.preventDefault());
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
setInterval(drawTitle, TITLE_BLINK_MS);
onLanguage(() => {
  drawTop();
  drawBanner();
  drawNotice();
});

startLanguage(handover.lang);
show('login');
if (handover.userID && handover.userSig) login.signIn(handover);
else login.show();

function started({ userID }) {
  signedIn = true;
  notice = null;
  show('lobby');
  lobby.start(userID, handover.kind);
  rtcroom.getPushURL().catch(() => {});
}

async function answer(room) {
  if (call.isOn) return;
  notice = null;
  lobby.answerable = false;
  ring.ringing = false;
  show('call');
  find('hangup').focus({ preventScroll: true });
  await call.answer(room, WISHES[find('answer-with').value] ?? WISHES.both);
}

function callEnded(sentence, isTrouble) {
  if (!signedIn) return;
  lost.delete('seat');
  notice = sentence ? { sentence, isTrouble } : null;
  find('settings').close();
  lobby.answerable = true;
  show('lobby');
  waitingChanged(lobby.waiting);
  lobby.refresh();
  rtcroom.getPushURL().catch(() => {});
}

function signedOut(error) {
  if (!signedIn) return;
  const { message, elsewhere } = error;
  leave(() => (elsewhere ? t('logged_out_elsewhere') : t('logged_out', { message })));
}

function leave(reason) {
  signedIn = false;
  call.drop();
  lobby.stop();
  lobby.answerable = true;
  ring.ringing = false;
  lost.clear();
  rtcroom.logout().catch(() => {});
  show('login');
  login.show(reason);
}

function waitingChanged(rooms) {
  ring.ringing = rooms.length > 0 && !call.isOn && signedIn;
  const others = call.isOn ? rooms.length : 0;
  find('more-waiting').hidden = others === 0;
  say(find('more-waiting'), t('more_waiting', { n: others }));
  drawTitle();
}

function serverIs(part, there, error = null) {
  if (there) lost.delete(part);
  else lost.add(part);
  if (error?.code === CODE.REFUSED) signedOut(error);
  drawBanner();
}

function show(screen) {
  document.body.dataset.screen = screen;
  for (const name of ['login', 'lobby', 'call']) find(`screen-${name}`).hidden = name !== screen;
  drawTop();
  drawBanner();
  drawNotice();
  drawTitle();
  if (screen === 'lobby') askPermissionEarly();
}

function drawTop() {
  const screen = document.body.dataset.screen;
  find('ring').hidden = screen !== 'lobby';
  find('open-settings').hidden = screen !== 'lobby';
  find('sign-out').hidden = screen !== 'lobby';
  say(find('who'), screen === 'login' ? '' : rtcroom.getAccountInfo().userName ?? '');
  find('ring').setAttribute('aria-pressed', String(ring.on));
  say(find('ring'), t(ring.on ? 'ring_on' : 'ring_off'));
  find('ring').title = ring.blocked ? t('ring_blocked') : '';
  say(find('nobody-more'), t(ring.on ? 'nobody_waits_more' : 'nobody_waits_quiet'));
  say(find('language'), languages[otherLanguage()]);
}

function drawBanner() {
  const waitsForClick = ring.blocked && document.body.dataset.screen === 'lobby' && lobby.waiting.length > 0;
  const text = lost.size > 0 && signedIn ? t('lost_server') : waitsForClick ? t('ring_blocked') : '';
  find('banner').hidden = text === '';
  find('banner').classList.toggle('is-mild', lost.size === 0);
  say(find('banner'), text);
}

function drawNotice() {
  const target = find('notice');
  target.hidden = !notice;
  target.classList.toggle('is-trouble', Boolean(notice?.isTrouble));
  say(target, notice?.sentence ?? '');
}

function drawTitle() {
  const count = signedIn && !call.isOn ? lobby.waiting.length : 0;
  const blink = count > 0 && Math.floor(Date.now() / TITLE_BLINK_MS) % 2 === 0;
  const name = call.isOn ? find('call-name').textContent : '';
  document.title = name ? t('title_in_call', { name }) : blink ? t('title_waiting', { n: count }) : t('title');
  const icon = count > 0 ? 'icon-ring.svg' : 'icon.svg';
  if (find('icon').getAttribute('href') !== icon) find('icon').setAttribute('href', icon);
  if (count > 0) navigator.setAppBadge?.(count).catch(() => {});
  else navigator.clearAppBadge?.().catch(() => {});
  drawBanner();
}

function otherLanguage() {
  return currentLanguage() === 'zh' ? 'en' : 'zh';
}

// Asking before the first call saves the customer the clerk's permission prompt.
async function askPermissionEarly() {
  find('permission').hidden = find('answer-with').value === 'none' || !(await devices.wouldAsk());
}

async function allowDevices() {
  find('permission').hidden = true;
  const { camera, microphone } = await devices.open({ camera: true, microphone: true });
  camera?.stop();
  microphone?.stop();
}

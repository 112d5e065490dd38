// The sign-in form, and the ticket a portal or a test server hands over.

import { currentLanguage, onLanguage, t } from './i18n.js';
import rtcroom, { CODE } from './rtcroom.js';
import { readTicket } from './ticket.js';

const KINDS = ['double_room', 'multi_room', 'live_room'];
const find = (id) => document.getElementById(id);

/** What the portal put behind the `#`; it is cleared from the address before anything else happens. */
export function takeHandover() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (location.hash) history.replaceState(null, '', location.pathname + location.search);
  const kind = given.get('kind');
  return {
    userID: given.get('userID'),
    userSig: given.get('userSig'),
    userName: given.get('userName') ?? '',
    lang: given.get('lang'),
    kind: KINDS.includes(kind) ? kind : KINDS[0],
  };
}

/** The sign-in screen. */
export class Login {
  #kind;
  #done;
  #error = null;

  /** `done(account)` is called after a sign-in. */
  constructor(kind, done) {
    this.#kind = kind;
    this.#done = done;
    find('login-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.signIn({ userID: find('user-id').value.trim(), userSig: find('user-sig').value.trim() });
    });
    find('test-ticket').addEventListener('click', () => this.#testTicket());
    onLanguage(() => this.#showError());
    this.#lookForTestServer();
  }

  /** Empties the form's ticket and says why the clerk is here again. */
  show(error = null) {
    find('user-sig').value = '';
    this.#error = error;
    this.#showError();
    find(find('user-id').value ? 'user-sig' : 'user-id').focus();
  }

  /** Signs in with a ticket; says on the form what is wrong with it. */
  async signIn({ userID, userSig, userName = '' }) {
    this.#busy(true);
    try {
      this.#error = null;
      const ticket = await this.#check(userID, userSig);
      find('user-id').value = userID;
      const serverDomain = `${location.origin}/weapp/${this.#kind}/`;
      const account = await rtcroom.login({ data: { serverDomain, userID, userSig, userName, sdkAppID: ticket.sdkAppID, accType: '' } });
      find('user-sig').value = '';
      this.#done(account);
    } catch (error) {
      this.#error = typeof error === 'function' ? error : () => loginSentence(error);
    } finally {
      this.#busy(false);
      this.#showError();
    }
  }

  // Throws a sentence in the page's language, as a function, when the server need not be asked at all.
  async #check(userID, userSig) {
    if (!userID) throw () => t('need_user_id');
    if (!userSig) throw () => t('need_ticket');
    const ticket = await readTicket(userSig);
    if (!ticket) throw () => t('ticket_unreadable');
    if (ticket.userID !== userID) throw () => t('ticket_other_user', { owner: ticket.userID, user: userID });
    if (ticket.expires * 1000 < Date.now()) {
      throw () => t('ticket_expired', { when: new Date(ticket.expires * 1000).toLocaleString(currentLanguage()) });
    }
    return ticket;
  }

  #busy(busy) {
    find('login').disabled = busy;
    find('login').textContent = t(busy ? 'signing_in' : 'sign_in');
  }

  #showError() {
    const target = find('login-error');
    target.hidden = !this.#error;
    target.textContent = this.#error ? this.#error() : '';
  }

  async #askLoginInfo(userID) {
    const response = await fetch(`/weapp/utils/get_login_info?${new URLSearchParams({ userID })}`, { cache: 'no-store' });
    const answer = await response.json();
    return answer.code === CODE.OK && answer.userSig ? answer : null;
  }

  async #lookForTestServer() {
    const info = await this.#askLoginInfo('').catch(() => null);
    find('dev-tools').hidden = !info;
  }

  async #testTicket() {
    const info = await this.#askLoginInfo(find('user-id').value.trim()).catch(() => null);
    if (!info) {
      this.#error = () => t('server_away');
      this.#showError();
      return;
    }
    find('user-id').value = info.userID;
    find('user-sig').value = info.userSig;
    find('login').focus();
  }
}

function loginSentence(error) {
  if (error.code === CODE.NO_ANSWER) return t('server_away');
  if (error.code === CODE.TOO_MANY) return t('too_many');
  return t('login_refused', { message: error.message });
}

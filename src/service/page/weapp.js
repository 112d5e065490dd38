// RoomService over HTTP: one account, its token, and the calls made with it.

/** Application results (`code` of every answer), and two of our own for what never reached the server. */
export const CODE = Object.freeze({
  OK: 0,
  NO_ANSWER: -1,
  BAD_ARGUMENTS: -9,
  BAD_REQUEST: 1,
  NO_ROOM: 3,
  NOT_A_MEMBER: 5,
  REFUSED: 7,
  ROOM_FULL: 5001,
  FORBIDDEN: 5003,
  TOO_MANY: 5029,
});

const ANSWER_LIMIT_MS = 5000;
// A second login of the same user ends the first one's token. Two pages that log in again for ever would
// fight without end, so a page yields after so many renewals in so many milliseconds: the older page yields first.
const RENEWALS_ALLOWED = 2;
const RENEWALS_WITHIN_MS = 60000;

/** A call that did not succeed. `errCode` and `errMsg` are the names the original client's `fail` callbacks used. */
export class RoomError extends Error {
  constructor(code, message) {
    super(message || `code ${code}`);
    this.name = 'RoomError';
    this.code = code;
    this.errCode = code;
    this.errMsg = this.message;
  }
}

/** One logged-in user at one RoomService. */
export class Weapp {
  #token = '';
  #ticket;
  #renewing = null;
  #renewals = [];
  #lost = false;
  #cameBack;

  /**
   * `serverDomain` is the address up to and with the room kind, as in the original client; `cameBack` is called when the
   * server answers after it did not.
   */
  constructor({ serverDomain, userID, userSig, sdkAppID, accType = '' }, cameBack = () => {}) {
    this.#cameBack = cameBack;
    this.base = String(serverDomain).replace(/\/*$/, '/');
    this.kind = this.base.split('/').at(-2);
    this.userID = userID;
    this.#ticket = { sdkAppID, accountType: accType, userID, userSig };
  }

  /** The bearer of WHIP, WHEP and the message socket. */
  get token() {
    return this.#token;
  }

  /** The message socket's address, with its token (a browser can send no header there). */
  get imAddress() {
    const root = this.base.replace(/weapp\/[^/]+\/$/, '');
    const address = new URL('im', root);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    address.search = new URLSearchParams({ userID: this.userID, token: this.#token });
    return address.href;
  }

  /** Exchanges the ticket for a token. */
  async login() {
    const answer = await this.#post('login', new URLSearchParams(this.#ticket), {}, {});
    this.#token = answer.token;
    return answer;
  }

  /** Ends the token. */
  async logout({ keepalive = false } = {}) {
    const token = this.#token;
    this.#token = '';
    if (token) await this.#post('logout', this.#query(), {}, { token, keepalive });
  }

  /** Calls an operation; a refused token is renewed once and the call repeated. */
  async call(operation, body = {}, { keepalive = false } = {}) {
    const token = this.#token;
    try {
      return await this.#post(operation, this.#query(), body, { token, keepalive });
    } catch (error) {
      if (error.code !== CODE.REFUSED || keepalive) throw error;
      await this.renew(token);
      return await this.#post(operation, this.#query(), body, { token: this.#token });
    }
  }

  /** Logs in again unless somebody already replaced the token `refused`. */
  async renew(refused) {
    if (this.#token !== refused) return;
    this.#renewing ??= this.#renew().finally(() => { this.#renewing = null; });
    await this.#renewing;
  }

  /** Whether a new token is being fetched. */
  get renewing() {
    return this.#renewing !== null;
  }

  /** The error of a page that gives way to a newer one. */
  elsewhere() {
    const error = new RoomError(CODE.REFUSED, 'this user has logged in somewhere else');
    error.elsewhere = true;
    return error;
  }

  async #renew() {
    const now = Date.now();
    this.#renewals = this.#renewals.filter((at) => now - at < RENEWALS_WITHIN_MS);
    if (this.#renewals.length >= RENEWALS_ALLOWED) {
      throw this.elsewhere();
    }
    await this.login();
    this.#renewals.push(now);
  }

  #query() {
    return new URLSearchParams({ userID: this.userID });
  }

  async #post(operation, query, body, { token, keepalive = false }) {
    const headers = { 'content-type': 'application/json' };
    if (token) headers.authorization = `Bearer ${token}`;
    let answer;
    try {
      const response = await fetch(`${this.base}${operation}?${query}`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
        keepalive,
        cache: 'no-store',
        credentials: 'omit',
        signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
      });
      answer = await response.json();
    } catch (error) {
      this.#lost = true;
      throw new RoomError(CODE.NO_ANSWER, `${operation}: no answer (${error.message})`);
    }
    if (this.#lost) {
      this.#lost = false;
      this.#cameBack();
    }
    if (typeof answer?.code !== 'number') throw new RoomError(CODE.NO_ANSWER, `${operation}: not an answer of a RoomService`);
    if (answer.code !== CODE.OK) throw new RoomError(answer.code, answer.message ?? answer.error);
    return answer;
  }
}

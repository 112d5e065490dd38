// The clerk's camera and microphone during a call, with their stand-ins.

import * as devices from './devices.js';
import { silence, slate } from './standin.js';

// While the browser asks the clerk for permission the customer should see something.
const STAND_IN_AFTER_MS = 1500;

/** Open from answer to hang-up; the camera is really closed while it is switched off. */
export class Capture {
  #on;
  #slateLines;
  #closed = false;
  #wish = { camera: true, microphone: true };
  #standIn = { camera: true, microphone: true };
  #tracks = { camera: null, microphone: null };
  #muted = false;
  #trouble = { camera: false, microphone: false };

  /** `on.track(kind, track)` with 'video' or 'audio' whenever another track is to be sent; `on.change()` on anything. */
  constructor(slateLines, on) {
    this.#slateLines = slateLines;
    this.#on = on;
    devices.onChange(() => this.#devicesChanged());
  }

  get muted() {
    return this.#muted || this.#standIn.microphone;
  }

  get cameraIsOn() {
    return Boolean(this.#tracks.camera) && !this.#standIn.camera;
  }

  get hasMicrophone() {
    return Boolean(this.#tracks.microphone) && !this.#standIn.microphone;
  }

  /** `{camera, microphone}`: false, or `{reason, name}`. */
  get trouble() {
    return this.#trouble;
  }

  /** The picture being sent, for the preview. */
  get preview() {
    return this.#tracks.camera;
  }

  /** Opens what is wished for; stand-ins take the place of what is not, or cannot be had. */
  async open(wish) {
    this.#wish = { ...wish };
    const timer = setTimeout(() => this.#fillGaps(), STAND_IN_AFTER_MS);
    await this.#acquire(wish);
    clearTimeout(timer);
    this.#fillGaps();
  }

  /** Tries again what did not work. */
  async retry() {
    await this.#acquire({
      camera: Boolean(this.#trouble.camera) && this.#wish.camera,
      microphone: Boolean(this.#trouble.microphone) && this.#wish.microphone,
    });
    this.#fillGaps();
  }

  async setMuted(muted) {
    this.#muted = muted;
    if (!muted && this.#standIn.microphone) {
      this.#wish.microphone = true;
      await this.#acquire({ camera: false, microphone: true });
    }
    if (!this.#standIn.microphone && this.#tracks.microphone) this.#tracks.microphone.enabled = !muted;
    this.#on.change();
  }

  async setCamera(on) {
    this.#wish.camera = on;
    if (on) {
      await this.#acquire({ camera: true, microphone: false });
    } else {
      this.#trouble = { ...this.#trouble, camera: false };
      this.#put('camera', slate(this.#slateLines), true);
    }
    this.#fillGaps();
  }

  /** Changes over to the device chosen now. */
  async reopen(what) {
    if (!this.#wish[what]) return;
    // Some cameras and most drivers cannot be opened twice.
    if (what === 'camera') this.#put('camera', slate(this.#slateLines), true);
    await this.#acquire({ camera: what === 'camera', microphone: what === 'microphone' });
  }

  close() {
    this.#closed = true;
    for (const track of Object.values(this.#tracks)) track?.stop();
    this.#tracks = { camera: null, microphone: null };
  }

  async #acquire(wish) {
    if (!wish.camera && !wish.microphone) return;
    const opened = await devices.open(wish);
    for (const what of ['camera', 'microphone']) {
      if (!wish[what]) continue;
      if (opened[what]) this.#put(what, opened[what], false);
      this.#trouble = { ...this.#trouble, [what]: opened.trouble[what] };
    }
    this.#on.change();
  }

  #put(what, track, standIn) {
    if (this.#closed || (!standIn && !this.#wish[what])) {
      track.stop();
      return;
    }
    const before = this.#tracks[what];
    this.#tracks[what] = track;
    this.#standIn[what] = standIn;
    if (what === 'microphone' && !standIn) track.enabled = !this.#muted;
    if (!standIn) track.addEventListener('ended', () => this.#ended(what, track));
    this.#on.track(what === 'camera' ? 'video' : 'audio', track);
    before?.stop();
    this.#on.change();
  }

  #fillGaps() {
    if (!this.#tracks.camera) this.#put('camera', slate(this.#slateLines), true);
    if (!this.#tracks.microphone) this.#put('microphone', silence(), true);
  }

  // Unplugged, or taken back by the clerk.
  #ended(what, track) {
    if (this.#tracks[what] !== track) return;
    this.#trouble = { ...this.#trouble, [what]: { reason: 'gone', name: 'ended' } };
    this.#put(what, what === 'camera' ? slate(this.#slateLines) : silence(), true);
  }

  #devicesChanged() {
    const wanted = (what) => this.#wish[what] && ['gone', 'NotFoundError'].includes(this.#trouble[what]?.reason);
    if (!this.#closed && (wanted('camera') || wanted('microphone'))) this.retry();
  }
}

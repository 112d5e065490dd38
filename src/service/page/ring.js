// The ring while somebody waits, made of two tones.

const REMEMBERED = 'rtcroom.ring';
const EVERY_MS = 2600;
const TONES = [[784, 0], [659, 0.28]];
const TONE_SECONDS = 0.26;
const LOUDNESS = 0.18;

/** Rings while `ringing` is set and the clerk has not switched it off. */
export class Ring {
  #context = null;
  #timer = 0;
  #ringing = false;
  #on = localStorage.getItem(REMEMBERED) !== 'off';
  #changed;

  constructor(changed) {
    this.#changed = changed;
    // A browser lets a page make sound only after the first click or key.
    for (const gesture of ['pointerdown', 'keydown']) addEventListener(gesture, () => this.#unlock(), { capture: true });
  }

  get on() {
    return this.#on;
  }

  /** Whether the browser still waits for a gesture. */
  get blocked() {
    return this.#on && this.#context?.state !== 'running';
  }

  switch(on) {
    this.#on = on;
    localStorage.setItem(REMEMBERED, on ? 'on' : 'off');
    this.#update();
  }

  set ringing(ringing) {
    if (ringing === this.#ringing) return;
    this.#ringing = ringing;
    this.#update();
  }

  /** Sends the ring (and the test sound) to a chosen speaker, where the browser can. */
  useSpeaker(deviceId) {
    this.#context?.setSinkId?.(deviceId).catch(() => {});
  }

  /** Rings once. */
  sound() {
    this.#unlock();
    // Tones put into a sleeping context would all sound at once later.
    if (this.#context.state !== 'running') return;
    const now = this.#context.currentTime;
    for (const [frequency, after] of TONES) {
      const oscillator = this.#context.createOscillator();
      const gain = this.#context.createGain();
      oscillator.frequency.value = frequency;
      gain.gain.setValueAtTime(0, now + after);
      gain.gain.linearRampToValueAtTime(LOUDNESS, now + after + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.001, now + after + TONE_SECONDS);
      oscillator.connect(gain).connect(this.#context.destination);
      oscillator.start(now + after);
      oscillator.stop(now + after + TONE_SECONDS);
    }
  }

  #unlock() {
    if (!this.#context) {
      this.#context = new AudioContext();
      this.#context.addEventListener('statechange', () => this.#changed());
    }
    if (this.#context.state !== 'running') this.#context.resume().catch(() => {});
  }

  #update() {
    clearInterval(this.#timer);
    if (this.#on && this.#ringing) {
      this.sound();
      this.#timer = setInterval(() => this.sound(), EVERY_MS);
    }
    this.#changed();
  }
}

// The dialog in which camera, microphone and speaker are chosen and tried.

import * as devices from './devices.js';
import { element } from './element.js';
import { t } from './i18n.js';

const LEVEL_EVERY_MS = 100;
const find = (id) => document.getElementById(id);

/** One sentence for each device that does not work. */
export function troubleSentences({ camera, microphone }) {
  const sentence = (device, { reason, name }) => t(`trouble_${reason}`, { device: t(device), name: name ?? '' });
  if (camera && microphone && camera.reason === microphone.reason) return [sentence('both_devices', camera)];
  return [camera && sentence('camera', camera), microphone && sentence('microphone', microphone)].filter(Boolean);
}

/** The device dialog; outside a call it opens camera and microphone for as long as it is open. */
export class Settings {
  #dialog = find('settings');
  #on;
  #tracks = [];
  #meter = null;

  /** `on.chosen(what)`, `on.inCall()`, `on.preview()` gives the call's own picture, `on.testSound()`. */
  constructor(on) {
    this.#on = on;
    for (const select of this.#dialog.querySelectorAll('[data-device]')) {
      select.addEventListener('change', () => this.#choose(select.dataset.device, select.value));
    }
    find('test-sound').addEventListener('click', () => on.testSound());
    this.#dialog.addEventListener('close', () => this.#close());
    devices.onChange(() => this.#dialog.open && this.#fill());
  }

  async open() {
    this.#dialog.showModal();
    await this.#fill();
    await this.#look();
    await this.#fill();
  }

  async #choose(what, deviceId) {
    devices.choose(what, deviceId);
    await this.#on.chosen(what);
    if (what !== 'speaker') await this.#look();
  }

  async #fill() {
    for (const what of Object.keys(devices.KINDS)) {
      const select = find(`choose-${what}`);
      const found = await devices.list(what);
      const current = devices.chosen()[what] ?? '';
      const options = found.map(({ deviceId, label }, index) => element('option', { value: deviceId, text: label || t('device_number', { n: index + 1 }) }));
      select.replaceChildren(element('option', { value: '', text: t('default_device') }), ...options);
      select.value = found.some(({ deviceId }) => deviceId === current) ? current : '';
      select.disabled = found.length === 0;
      if (found.length === 0) select.options[0].textContent = t(what === 'speaker' ? 'speaker_fixed' : 'no_device');
    }
  }

  // Shows the camera and measures the microphone.
  async #look() {
    this.#release();
    const preview = find('settings-preview');
    if (this.#on.inCall()) {
      const track = this.#on.preview();
      preview.srcObject = track ? new MediaStream([track]) : null;
      find('level').hidden = true;
      return;
    }
    const opened = await devices.open({ camera: true, microphone: true });
    this.#tracks = [opened.camera, opened.microphone].filter(Boolean);
    if (!this.#dialog.open) {
      this.#release();
      return;
    }
    preview.srcObject = opened.camera ? new MediaStream([opened.camera]) : null;
    find('level').hidden = !opened.microphone;
    if (opened.microphone) this.#measure(opened.microphone);
    const sentences = troubleSentences(opened.trouble);
    find('settings-trouble').hidden = sentences.length === 0;
    find('settings-trouble').textContent = sentences.join(' ');
  }

  #measure(track) {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    const samples = new Float32Array(analyser.fftSize);
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      find('level').value = Math.min(1, Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length) * 4);
    }, LEVEL_EVERY_MS);
    this.#meter = { context, timer };
  }

  #release() {
    for (const track of this.#tracks) track.stop();
    this.#tracks = [];
    if (this.#meter) {
      clearInterval(this.#meter.timer);
      this.#meter.context.close().catch(() => {});
      this.#meter = null;
    }
  }

  #close() {
    this.#release();
    find('settings-preview').srcObject = null;
    find('settings-trouble').hidden = true;
  }
}

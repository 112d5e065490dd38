// Cameras, microphones and speakers: which there are, which one the clerk chose, and opening them.

const REMEMBERED = 'rtcroom.devices';

/** Which device each choice is of. */
export const KINDS = Object.freeze({ camera: 'videoinput', microphone: 'audioinput', speaker: 'audiooutput' });

const PICTURE = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** The remembered choice: device ids by `camera`, `microphone`, `speaker`; absent means the system's default. */
export function chosen() {
  try {
    return JSON.parse(localStorage.getItem(REMEMBERED)) ?? {};
  } catch {
    return {};
  }
}

/** Remembers a device; an empty id forgets it. */
export function choose(what, deviceId) {
  const choice = chosen();
  if (deviceId) choice[what] = deviceId;
  else delete choice[what];
  localStorage.setItem(REMEMBERED, JSON.stringify(choice));
}

/** All devices of `camera`, `microphone` or `speaker`; without permission the browser tells no labels. */
export async function list(what) {
  const all = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []) ?? [];
  return all.filter(({ kind, deviceId }) => kind === KINDS[what] && deviceId !== '' && deviceId !== 'default' && deviceId !== 'communications');
}

/** Calls `listener` when devices come or go. */
export function onChange(listener) {
  navigator.mediaDevices?.addEventListener?.('devicechange', listener);
}

/** Whether the browser will ask before it gives a camera. */
export async function wouldAsk() {
  try {
    const state = await navigator.permissions.query({ name: 'camera' });
    return state.state === 'prompt' && Boolean(navigator.mediaDevices);
  } catch {
    return false;
  }
}

/**
 * Opens `camera`, `microphone` or both, as far as they can be had: `{camera, microphone}` tracks and, under `trouble`,
 * why one could not be opened.
 */
export async function open({ camera = false, microphone = false }) {
  const wanted = { camera, microphone };
  const reason = unavailable();
  if (reason) return { trouble: { camera: camera && reason, microphone: microphone && reason } };
  if (camera && microphone) {
    // Together first: one question to the clerk instead of two.
    const both = await ask(wanted);
    if (!both.trouble || both.trouble.reason === 'NotAllowedError' || both.trouble.reason === 'system') return spread(both, wanted);
  }
  const first = camera ? await ask({ camera }) : {};
  const second = microphone ? await ask({ microphone }) : {};
  return {
    camera: first.camera,
    microphone: second.microphone,
    trouble: { camera: first.trouble ?? false, microphone: second.trouble ?? false },
  };
}

function unavailable() {
  if (navigator.mediaDevices?.getUserMedia) return null;
  return { reason: isSecureContext ? 'unsupported' : 'insecure' };
}

function spread({ camera, microphone, trouble = false }, wanted) {
  return { camera, microphone, trouble: { camera: wanted.camera && trouble, microphone: wanted.microphone && trouble } };
}

async function ask({ camera, microphone }) {
  const choice = chosen();
  const constraints = (exact) => ({
    video: camera ? { ...PICTURE, ...device(choice.camera, exact) } : false,
    audio: microphone ? { ...SOUND, ...device(choice.microphone, exact) } : false,
  });
  try {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia(constraints(true));
    } catch (error) {
      // The remembered device is not there today: any other will do.
      if (error.name !== 'OverconstrainedError') throw error;
      stream = await navigator.mediaDevices.getUserMedia(constraints(false));
    }
    return { camera: stream.getVideoTracks()[0], microphone: stream.getAudioTracks()[0] };
  } catch (error) {
    return { trouble: { reason: reasonOf(error), name: error.name } };
  }
}

function device(deviceId, exact) {
  return deviceId && exact ? { deviceId: { exact: deviceId } } : {};
}

function reasonOf({ name, message }) {
  if (name === 'NotAllowedError' && /system/i.test(message)) return 'system';
  if (['NotAllowedError', 'NotFoundError', 'NotReadableError'].includes(name)) return name;
  if (name === 'TrackStartError' || name === 'AbortError') return 'NotReadableError';
  return 'other';
}

// WHIP (RFC 9725) and WHEP: one offer, one answer, one resource to delete afterwards.

const GATHER_LIMIT_MS = 1000;
const ANSWER_LIMIT_MS = 8000;
const DELETE_LIMIT_MS = 1500;

/** A WHIP or WHEP server's refusal; `status` 0 means no answer came. */
export class Refusal extends Error {
  constructor(status, message, retryAfterMs = null) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A connection that sends; its tracks may be put in later, so that no permission prompt holds up the offer. */
export function publishing(tracks) {
  const connection = connectionToRelay();
  const stream = new MediaStream();
  for (const kind of ['audio', 'video']) {
    const transceiver = connection.addTransceiver(tracks[kind] ?? kind, { direction: 'sendonly', streams: [stream] });
    preferCodecs(transceiver, kind, RTCRtpSender.getCapabilities(kind), isBaseline);
  }
  return connection;
}

/** A connection that receives. */
export function playing() {
  const connection = connectionToRelay();
  for (const kind of ['audio', 'video']) {
    const transceiver = connection.addTransceiver(kind, { direction: 'recvonly' });
    preferCodecs(transceiver, kind, RTCRtpReceiver.getCapabilities(kind), () => true);
  }
  return connection;
}

const gathering = new WeakMap();

/** Makes the offer and gathers all candidates, once: not every server takes later ones. */
export function gather(connection) {
  if (!gathering.has(connection)) gathering.set(connection, offerAndGather(connection));
  return gathering.get(connection);
}

async function offerAndGather(connection) {
  await connection.setLocalDescription(await connection.createOffer());
  if (connection.iceGatheringState === 'complete') return;
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_LIMIT_MS);
    connection.addEventListener('icegatheringstatechange', () => {
      if (connection.iceGatheringState !== 'complete') return;
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Posts the gathered offer, applies the answer, and gives the address to delete (null when the server names none). */
export async function exchange(connection, address, token) {
  let response;
  let body;
  try {
    response = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', accept: 'application/sdp', authorization: `Bearer ${token}` },
      body: connection.localDescription.sdp,
      cache: 'no-store',
      credentials: 'omit',
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    });
    body = await response.text();
  } catch (error) {
    throw new Refusal(0, `no answer from the media relay (${error.message})`);
  }
  const location = response.headers.get('location');
  const resource = location ? new URL(location, response.url).href : null;
  if (!response.ok) throw new Refusal(response.status, messageOf(body, response.status), retryAfter(response));
  try {
    await connection.setRemoteDescription({ type: 'answer', sdp: body });
  } catch (error) {
    await release(resource, token);
    throw new Refusal(response.status, `the media relay's answer does not fit (${error.message})`);
  }
  return resource;
}

/** Deletes a resource. What the server says to it does not matter: 200, 204, 403, 404 all mean it is gone. */
export async function release(resource, token) {
  if (!resource) return;
  try {
    await fetch(resource, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}` },
      keepalive: true,
      credentials: 'omit',
      signal: AbortSignal.timeout(DELETE_LIMIT_MS),
    });
  } catch {
    // The server is away, and with it the resource.
  }
}

function connectionToRelay() {
  return new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceServers: [] });
}

function preferCodecs(transceiver, kind, capabilities, wanted) {
  const codecs = capabilities?.codecs ?? [];
  const named = (name) => codecs.filter((codec) => codec.mimeType.toLowerCase() === `${kind}/${name}`);
  const main = kind === 'audio' ? named('opus') : best(named('h264'), wanted);
  if (main.length === 0) throw new Refusal(0, kind === 'video' ? 'this browser has no H.264' : 'this browser has no Opus');
  // Without rtx in the list there is no retransmission.
  transceiver.setCodecPreferences?.([...main, ...named('rtx')]);
}

function best(codecs, wanted) {
  const chosen = codecs.filter(wanted);
  const rank = (codec) => (isBaseline(codec) ? 0 : 1);
  return (chosen.length ? chosen : codecs).toSorted((a, b) => rank(a) - rank(b));
}

// Every kiosk decodes constrained baseline in packetization mode 1, so nothing else is sent.
function isBaseline({ sdpFmtpLine = '' }) {
  return /packetization-mode=1/.test(sdpFmtpLine) && /profile-level-id=42[ce0]0/i.test(sdpFmtpLine);
}

function messageOf(body, status) {
  try {
    return JSON.parse(body).message || `the media relay says ${status}`;
  } catch {
    return `the media relay says ${status}`;
  }
}

function retryAfter(response) {
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : null;
}

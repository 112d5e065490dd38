// What a connection's statistics say: does media move, and how well.

/** Reads `getStats()` of one connection again and again. */
export class Meter {
  #last = null;

  /** The newest reading; rates are over the time since the one before. */
  async read(connection) {
    const report = await connection.getStats();
    const reading = {
      at: performance.now(),
      videoFrames: 0,
      audioPackets: 0,
      heard: 0,
      bytes: 0,
      packets: 0,
      lost: 0,
      width: 0,
      height: 0,
      rttMs: null,
    };
    for (const entry of report.values()) {
      if (entry.type === 'inbound-rtp') inbound(reading, entry);
      else if (entry.type === 'outbound-rtp') outbound(reading, entry);
      else if (entry.type === 'remote-inbound-rtp') reading.lost += Math.max(entry.packetsLost ?? 0, 0);
      else if (entry.type === 'candidate-pair' && entry.nominated) pair(reading, entry);
    }
    const result = { ...reading, ...this.#rates(reading) };
    this.#last = reading;
    return result;
  }

  #rates(now) {
    const last = this.#last;
    const seconds = last ? (now.at - last.at) / 1000 : 0;
    if (seconds <= 0) return { fps: 0, bitsPerSecond: 0, lossPercent: 0 };
    const packets = now.packets - last.packets;
    const lost = now.lost - last.lost;
    return {
      fps: Math.max(0, (now.videoFrames - last.videoFrames) / seconds),
      bitsPerSecond: Math.max(0, ((now.bytes - last.bytes) * 8) / seconds),
      lossPercent: packets + lost > 0 ? Math.max(0, (100 * lost) / (packets + lost)) : 0,
    };
  }
}

function inbound(reading, entry) {
  reading.bytes += entry.bytesReceived ?? 0;
  reading.packets += entry.packetsReceived ?? 0;
  reading.lost += Math.max(entry.packetsLost ?? 0, 0);
  if (entry.kind === 'video') {
    reading.videoFrames += entry.framesDecoded ?? 0;
    reading.width = entry.frameWidth ?? 0;
    reading.height = entry.frameHeight ?? 0;
  } else {
    reading.audioPackets += entry.packetsReceived ?? 0;
  }
}

function outbound(reading, entry) {
  reading.bytes += entry.bytesSent ?? 0;
  reading.packets += entry.packetsSent ?? 0;
  if (entry.kind === 'video') {
    reading.videoFrames += entry.framesSent ?? 0;
    reading.width = entry.frameWidth ?? 0;
    reading.height = entry.frameHeight ?? 0;
  } else {
    reading.audioPackets += entry.packetsSent ?? 0;
  }
}

function pair(reading, entry) {
  reading.heard += (entry.responsesReceived ?? 0) + (entry.packetsReceived ?? 0);
  if (entry.currentRoundTripTime !== undefined) reading.rttMs = entry.currentRoundTripTime * 1000;
}

/** How the numbers feel: 'good', 'fair', 'poor', or 'none' while nothing moves. */
export function grade({ fps, bitsPerSecond, lossPercent, rttMs }) {
  if (bitsPerSecond < 1000) return 'none';
  if (lossPercent > 8 || (rttMs ?? 0) > 600 || (fps > 0 && fps < 8)) return 'poor';
  if (lossPercent > 2 || (rttMs ?? 0) > 250 || (fps > 0 && fps < 18)) return 'fair';
  return 'good';
}

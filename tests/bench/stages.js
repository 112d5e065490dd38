// Notes when each stage of a call is reached, in performance.now(), and reads the marks of the remote picture for a while.
(() => {
  const stages = (window.__stages = {});
  const note = (name) => { stages[name] ??= performance.now(); };
  addEventListener('click', (event) => { if (event.target.closest?.('[data-answer]')) note('click'); }, true);
  const realFetch = window.fetch;
  window.fetch = async (input, init) => {
    const name = String(input.url ?? input).match(/(whip|whep|add_pusher|get_pushers)/)?.[1];
    const inCall = stages.click !== undefined;
    const response = await realFetch(input, init);
    if (name && inCall) note(`${name}_answered`);
    return response;
  };
  const Real = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Real {
    constructor(...rest) {
      super(...rest);
      this.addEventListener('connectionstatechange', () => {
        if (this.connectionState !== 'connected') return;
        const receives = this.getTransceivers().some(({ currentDirection }) => currentDirection === 'recvonly');
        note(receives ? 'whep_connected' : 'whip_connected');
      });
    }
  };
  const crcOk = (bytes) => {
    let crc = 0xffff;
    for (const byte of [...bytes.slice(0, 4), ...bytes.slice(5, 9)]) {
      crc ^= byte << 8;
      for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
    }
    return crc === (bytes[4] << 8 | bytes[9]);
  };
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  window.__ages = [];
  window.__readMarks = false;
  const frame = (video) => (now, meta) => {
    note('first_frame');
    if (window.__readMarks && video.videoWidth >= 40) {
      const shown = performance.now();
      const cell = Math.floor(video.videoWidth / 40);
      canvas.width = cell * 40;
      canvas.height = cell * 2;
      context.drawImage(video, 0, 0, cell * 40, cell * 2, 0, 0, cell * 40, cell * 2);
      const { data } = context.getImageData(0, 0, cell * 40, cell * 2);
      const bytes = new Uint8Array(10);
      for (let row = 0; row < 2; row++) {
        for (let column = 0; column < 40; column++) {
          const x = column * cell + (cell >> 1), y = row * cell + (cell >> 1);
          if (data[(y * cell * 40 + x) * 4 + 1] > 128) bytes[row * 5 + (column >> 3)] |= 0x80 >> (column & 7);
        }
      }
      if (crcOk(bytes)) {
        const time = new DataView(bytes.buffer).getUint32(5);
        window.__ages.push(shown + window.__monotonicOffset - time);
      }
    }
    video.requestVideoFrameCallback(frame(video));
  };
  addEventListener('DOMContentLoaded', () => {
    const watch = setInterval(() => {
      const video = document.getElementById('remote-video');
      if (!video || video.__watched) return;
      video.__watched = true;
      video.requestVideoFrameCallback(frame(video));
    }, 5);
    setTimeout(() => clearInterval(watch), 120000);
  });
})();

// In place of the camera: a canvas at 640x480@30 with the pixel mark of src/media/mark.rs, so that the far end can tell
// the age of every frame. `__monotonicOffset` is CLOCK_MONOTONIC minus performance.now(), in ms, set by the bench.
(() => {
  const width = 640, height = 480, cell = 16;
  const crc16 = (bytes) => {
    let crc = 0xffff;
    for (const byte of bytes) {
      crc ^= byte << 8;
      for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
    }
    return crc;
  };
  let counter = 0;
  const draw = (context) => {
    counter += 1;
    const time = Math.floor(performance.now() + (window.__monotonicOffset ?? 0)) >>> 0;
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setUint32(0, counter);
    new DataView(bytes.buffer).setUint32(4, time);
    const crc = crc16(bytes);
    const rows = [[...bytes.slice(0, 4), crc >> 8], [...bytes.slice(4, 8), crc & 0xff]];
    context.fillStyle = '#246';
    context.fillRect(0, 0, width, height);
    context.fillStyle = '#fc8';
    context.fillRect((counter * 4) % width, 200, 60, 60);
    rows.forEach((row, y) => row.forEach((byte, x) => {
      for (let bit = 0; bit < 8; bit++) {
        context.fillStyle = byte & (0x80 >> bit) ? '#fff' : '#000';
        context.fillRect((x * 8 + bit) * cell, y * cell, cell, cell);
      }
    }));
  };
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    const stream = constraints.audio ? await real({ audio: constraints.audio }) : new MediaStream();
    if (constraints.video) {
      const canvas = document.createElement('canvas');
      canvas.width = width;
      canvas.height = height;
      const context = canvas.getContext('2d', { alpha: false });
      draw(context);
      setInterval(() => draw(context), 1000 / 30);
      stream.addTrack(canvas.captureStream(30).getVideoTracks()[0]);
    }
    return stream;
  };
})();

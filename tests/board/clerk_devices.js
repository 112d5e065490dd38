// In place of the clerk's camera and microphone: a small picture with the pixel marks of src/media/mark.rs, and a tone.
// Small and slow, so that an emulated board can decode it.
(() => {
  const WIDTH = 320;
  const HEIGHT = 240;
  const CELL = WIDTH / 40;
  const FPS = 10;
  const HZ = 660;

  function crc16(bytes) {
    let crc = 0xffff;
    for (const byte of bytes) {
      crc ^= byte << 8;
      for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
    return crc;
  }

  let counter = 0;
  function draw(context) {
    counter += 1;
    const four = (number) => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255);
    const head = [...four(counter), ...four(Math.round(performance.now()))];
    const crc = crc16(head);
    const rows = [[...head.slice(0, 4), crc >> 8], [...head.slice(4), crc & 255]];
    context.fillStyle = '#246';
    context.fillRect(0, 0, WIDTH, HEIGHT);
    context.fillStyle = '#fc8';
    context.fillRect((counter * 4) % WIDTH, 120, 40, 40);
    rows.forEach((bytes, row) => bytes.forEach((byte, index) => {
      for (let bit = 0; bit < 8; bit += 1) {
        context.fillStyle = byte & (128 >> bit) ? '#fff' : '#000';
        context.fillRect((index * 8 + bit) * CELL, row * CELL, CELL, CELL);
      }
    }));
  }

  navigator.mediaDevices.getUserMedia = async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: WIDTH, height: HEIGHT });
    const context = canvas.getContext('2d', { alpha: false });
    draw(context);
    setInterval(() => draw(context), 1000 / FPS);
    const audio = new AudioContext();
    const oscillator = audio.createOscillator();
    const gain = audio.createGain();
    const destination = audio.createMediaStreamDestination();
    oscillator.frequency.value = HZ;
    gain.gain.value = 0.3;
    oscillator.connect(gain).connect(destination);
    oscillator.start();
    return new MediaStream([canvas.captureStream(FPS).getVideoTracks()[0], destination.stream.getAudioTracks()[0]]);
  };
})();

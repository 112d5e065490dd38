// Reads the pixel marks of a video (see media::mark) and listens to its sound. Gives the functions the tests call.
(() => {
  if (window.rtcroomTest) return;
  const COLUMNS = 40;
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const seen = { marks: [], frames: 0, unreadable: 0 };
  let listening = null;
  let watching = false;

  function crc16(bytes) {
    let crc = 0xffff;
    for (const byte of bytes) {
      crc ^= byte << 8;
      for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
    return crc;
  }

  // Mean luma of the inner half of a cell.
  function cell(pixels, width, side, row, column) {
    const inset = Math.floor(side / 4);
    let sum = 0;
    let count = 0;
    for (let y = row * side + inset; y < (row + 1) * side - inset; y += 1) {
      for (let x = column * side + inset; x < (column + 1) * side - inset; x += 1) {
        const at = 4 * (y * width + x);
        sum += 0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2];
        count += 1;
      }
    }
    return sum / count;
  }

  function readMark(source, width) {
    const side = Math.floor(width / COLUMNS);
    if (side < 2) return null;
    const used = side * COLUMNS;
    if (canvas.width !== used || canvas.height !== 2 * side) Object.assign(canvas, { width: used, height: 2 * side });
    context.drawImage(source, 0, 0, used, 2 * side, 0, 0, used, 2 * side);
    const pixels = context.getImageData(0, 0, used, 2 * side).data;
    const bytes = [0, 1].map((row) => Array.from({ length: 5 }, (_, index) => {
      let byte = 0;
      for (let bit = 0; bit < 8; bit += 1) byte = byte * 2 + (cell(pixels, used, side, row, index * 8 + bit) >= 128 ? 1 : 0);
      return byte;
    }));
    const [above, below] = bytes;
    if (crc16([...above.slice(0, 4), ...below.slice(0, 4)]) !== above[4] * 256 + below[4]) return null;
    const number = (four) => four.reduce((sum, byte) => sum * 256 + byte, 0);
    return { counter: number(above.slice(0, 4)), time: number(below.slice(0, 4)) };
  }

  // Takes every frame the page has decoded, in order. (A video element shows only what the compositor finds time for,
  // and what it shows may already be newer than the frame it was asked about.)
  async function readTrack(track) {
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 60 }).readable.getReader();
    for (;;) {
      const { done, value: frame } = await reader.read();
      if (done) return;
      seen.frames += 1;
      const mark = readMark(frame, frame.displayWidth);
      frame.close();
      if (mark) seen.marks.push({ ...mark, at: performance.now() });
      else seen.unreadable += 1;
    }
  }

  // The picture may come from another track, and stand in another element, after each recovery.
  function watch() {
    const read = new WeakSet();
    setInterval(() => {
      const [track] = document.querySelector('#remote-video')?.srcObject?.getVideoTracks() ?? [];
      if (!track || read.has(track) || track.readyState !== 'live') return;
      read.add(track);
      readTrack(track);
    }, 50);
  }

  function listen(video) {
    const stream = video?.srcObject;
    if (!stream?.getAudioTracks().length) return null;
    if (listening?.stream !== stream) {
      listening?.context.close();
      const audio = new AudioContext();
      const analyser = audio.createAnalyser();
      analyser.fftSize = 8192;
      analyser.smoothingTimeConstant = 0;
      audio.createMediaStreamSource(stream).connect(analyser);
      listening = { stream, context: audio, analyser };
    }
    return listening;
  }

  window.rtcroomTest = {
    /** Starts reading the marks of the first remote picture. */
    start() {
      if (!watching) watch();
      watching = true;
      return Boolean(document.querySelector('#remote-video'));
    },
    /** All marks since the last call of `forget`, and how many frames had none. */
    seen() {
      return seen;
    },
    forget() {
      Object.assign(seen, { marks: [], frames: 0, unreadable: 0 });
    },
    /** `{hz, dbfs}` of what is heard just now; hz is the strongest frequency. */
    tone() {
      const ear = listen(document.querySelector('#remote-video'));
      if (!ear) return { hz: 0, dbfs: -200, state: 'no sound track' };
      const samples = new Float32Array(ear.analyser.fftSize);
      ear.analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      const spectrum = new Float32Array(ear.analyser.frequencyBinCount);
      ear.analyser.getFloatFrequencyData(spectrum);
      const strongest = spectrum.indexOf(Math.max(...spectrum));
      return {
        hz: (strongest * ear.context.sampleRate) / ear.analyser.fftSize,
        dbfs: power > 0 ? 10 * Math.log10(power) : -200,
        state: ear.context.state,
      };
    },
  };
})();

// Looks at each frame the page decodes: is it vivid's picture, and is it another one than before?
// vivid draws "75% Colorbar" (its first test pattern) and writes a clock and a frame counter over its top left.
(() => {
  if (window.vividTest) return;
  const WIDTH = 160;
  const HEIGHT = 120;
  // White, yellow, cyan, green, magenta, red, blue, black at three quarters.
  const BARS = [[1, 1, 1], [1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]]
    .map((bar) => bar.map((on) => on * 191));
  const TOLERANCE = 60;
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const seen = { frames: 0, vivid: 0, changed: 0, other: 0, moved: 0, size: '', last: null };
  const read = new WeakSet();
  let clock = null;
  let before = null;

  function look(frame) {
    seen.frames += 1;
    seen.size = `${frame.displayWidth}x${frame.displayHeight}`;
    context.drawImage(frame, 0, 0, WIDTH, HEIGHT);
    const { data } = context.getImageData(0, 0, WIDTH, HEIGHT);
    // Any picture of any camera: a few points that differ.
    let points = 0;
    if (before) for (let at = 0; at < data.length; at += 16) points += Math.abs(data[at] - before[at]) > 8;
    if (!before || points >= 4) seen.moved += 1;
    before = data;
    // Below the text, in the middle of each bar.
    const y = HEIGHT - 5;
    const colours = BARS.map((_, bar) => {
      const at = 4 * (y * WIDTH + Math.round((bar + 0.5) * WIDTH / BARS.length));
      return [data[at], data[at + 1], data[at + 2]];
    });
    seen.last = colours;
    const is = colours.every((colour, bar) => colour.every((part, index) => Math.abs(part - BARS[bar][index]) < TOLERANCE));
    if (!is) {
      seen.other += 1;
      return;
    }
    seen.vivid += 1;
    // The first two lines of text: clock and counter.
    const text = [];
    for (let row = 0; row < 16; row += 1) {
      for (let column = 0; column < 110; column += 1) {
        const at = 4 * (row * WIDTH + column);
        text.push(data[at] + data[at + 1] + data[at + 2]);
      }
    }
    const differs = clock ? text.filter((luma, index) => Math.abs(luma - clock[index]) > 150).length : 99;
    if (differs >= 4) {
      seen.changed += 1;
      clock = text;
    }
  }

  async function readTrack(track) {
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 30 }).readable.getReader();
    for (;;) {
      const { done, value: frame } = await reader.read();
      if (done) return;
      look(frame);
      frame.close();
    }
  }

  setInterval(() => {
    const [track] = document.querySelector('#remote-video')?.srcObject?.getVideoTracks() ?? [];
    if (!track || read.has(track) || track.readyState !== 'live') return;
    read.add(track);
    readTrack(track);
  }, 50);

  window.vividTest = {
    seen: () => seen,
    forget: () => Object.assign(seen, { frames: 0, vivid: 0, changed: 0, other: 0, moved: 0 }),
  };
})();

// What is sent in place of a camera or microphone that is off: a slate and silence. The other side goes on getting media,
// so it can tell "the clerk's camera is off" from "the line is dead".

const WIDTH = 640;
const HEIGHT = 480;
const FRAMES_PER_SECOND = 5;

/** A track that shows `lines` on a dark ground. */
export function slate(lines) {
  const canvas = document.createElement('canvas');
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const context = canvas.getContext('2d', { alpha: false });
  const [track] = canvas.captureStream(FRAMES_PER_SECOND).getVideoTracks();
  const draw = () => paint(context, lines());
  draw();
  // A canvas that is not painted gives no frames.
  const timer = setInterval(() => (track.readyState === 'live' ? draw() : clearInterval(timer)), 1000 / FRAMES_PER_SECOND);
  return track;
}

function paint(context, lines) {
  context.fillStyle = '#16283d';
  context.fillRect(0, 0, WIDTH, HEIGHT);
  context.fillStyle = '#35506e';
  context.beginPath();
  context.arc(WIDTH / 2, 170, 46, 0, 2 * Math.PI);
  context.fill();
  context.beginPath();
  context.ellipse(WIDTH / 2, 300, 92, 66, 0, Math.PI, 2 * Math.PI);
  context.fill();
  context.fillStyle = '#e8eef5';
  context.textAlign = 'center';
  context.font = '26px "Noto Sans SC", "Microsoft YaHei", sans-serif';
  lines.forEach((line, row) => context.fillText(line, WIDTH / 2, 362 + row * 38, WIDTH - 40));
}

/** A silent track; `stop()` on it also ends what makes it. */
export function silence() {
  const context = new AudioContext();
  const destination = context.createMediaStreamDestination();
  const source = context.createConstantSource();
  const gain = context.createGain();
  gain.gain.value = 0;
  source.connect(gain).connect(destination);
  source.start();
  const [track] = destination.stream.getAudioTracks();
  const stop = track.stop.bind(track);
  track.stop = () => {
    stop();
    context.close().catch(() => {});
  };
  return track;
}

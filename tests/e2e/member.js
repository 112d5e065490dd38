// A member of a room in a bare page, on rtcroom.js: sends a picture with marks and a tone, as a kiosk does.
(() => {
  const WIDTH = 640;
  const HEIGHT = 480;
  const COLUMNS = 40;
  const SIDE = WIDTH / COLUMNS;
  const events = [];

  function crc16(bytes) {
    let crc = 0xffff;
    for (const byte of bytes) {
      crc ^= byte << 8;
      for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
    return crc;
  }

  function markedPicture(framesPerSecond) {
    const canvas = Object.assign(document.createElement('canvas'), { width: WIDTH, height: HEIGHT });
    const context = canvas.getContext('2d', { alpha: false });
    const four = (number) => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255);
    let counter = 0;
    const draw = () => {
      counter += 1;
      const head = [...four(counter), ...four(Math.round(performance.now()))];
      const crc = crc16(head);
      const rows = [[...head.slice(0, 4), crc >> 8], [...head.slice(4), crc & 255]];
      context.fillStyle = `hsl(${counter % 360} 40% 40%)`;
      context.fillRect(0, 0, WIDTH, HEIGHT);
      rows.forEach((bytes, row) => bytes.forEach((byte, index) => {
        for (let bit = 0; bit < 8; bit += 1) {
          context.fillStyle = byte & (128 >> bit) ? '#fff' : '#000';
          context.fillRect((index * 8 + bit) * SIDE, row * SIDE, SIDE, SIDE);
        }
      }));
    };
    draw();
    setInterval(draw, 1000 / framesPerSecond);
    return canvas.captureStream(framesPerSecond).getVideoTracks()[0];
  }

  function tone(hz) {
    const context = new AudioContext();
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    const destination = context.createMediaStreamDestination();
    oscillator.frequency.value = hz;
    gain.gain.value = 0.3;
    oscillator.connect(gain).connect(destination);
    oscillator.start();
    return destination.stream.getAudioTracks()[0];
  }

  function show(stream) {
    let video = document.querySelector('#remote-video');
    if (!video) {
      video = Object.assign(document.createElement('video'), { id: 'remote-video', autoplay: true, muted: true });
      document.body.append(video);
    }
    video.srcObject = stream;
  }

  window.rtcroomMember = {
    events,
    async enter({ kind, userID, userSig, sdkAppID, roomID, roomInfo, hz }) {
      const { default: rtcroom } = await import('/rtcroom.js');
      const note = (name) => (detail) => events.push({ name, detail: JSON.parse(JSON.stringify(detail ?? null)) });
      rtcroom.setListener({
        onGetPusherList: note('list'),
        onPusherJoin: note('join'),
        onPusherQuit: note('quit'),
        onRecvRoomTextMsg: note('text'),
        onRecvRoomCustomMsg: note('custom'),
        onRoomClose: note('close'),
        onStateChange: note('state'),
        onRemoteStream: ({ stream }) => show(stream),
      });
      await rtcroom.login({ data: { serverDomain: `${location.origin}/weapp/${kind}/`, userID, userSig, sdkAppID } });
      const tracks = { video: markedPicture(30), audio: tone(hz) };
      await rtcroom.enterRoom({ data: { roomID, roomInfo, tracks } });
    },
    async leave() {
      const { default: rtcroom } = await import('/rtcroom.js');
      await rtcroom.exitRoom();
    },
    async say(msg) {
      const { default: rtcroom } = await import('/rtcroom.js');
      await rtcroom.sendRoomTextMsg({ data: { msg } });
    },
    async command(cmd, msg) {
      const { default: rtcroom } = await import('/rtcroom.js');
      await rtcroom.sendRoomCustomMsg({ data: { cmd, msg } });
    },
  };
})();

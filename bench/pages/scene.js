// The scene every row films: getUserMedia gives a moving, detailed picture with the painted clock, and a tone.
//
// It runs before any page's own scripts. Only what asks for a camera pays for it: nothing is painted before the first getUserMedia.

(() => {
  const FPS = 30;
  const WIDTH = 640;
  const HEIGHT = 480;

  /** Milliseconds by which each picture is later than the rate says, so that in 6 s the pictures slide once past the refreshes of a screen with
   *  60 a second. In step with them, a whole turn would be up to one refresh better or worse than the next by mere chance. */
  const SLIDE = 1000 / 60 / (6 * FPS);

  /** Pixels the background moves per picture, and shapes in it per 1000 pixels: enough that an encoder has real work. */
  const PAN = 3;
  const DENSITY = 4;

  /** Hertz of the tone and of the swelling of its loudness. */
  const TONE = 440;
  const SWELL = 2;

  /** A fixed sequence (Numerical Recipes' generator), so that every row and every run films the same. */
  function sequence() {
    let state = 1;
    return () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
  }

  /** @param {number} width @param {number} height @returns {HTMLCanvasElement} twice as wide as the picture, its right half like its left */
  function landscape(width, height) {
    const canvas = document.createElement("canvas");
    canvas.width = width * 2;
    canvas.height = height;
    const pen = canvas.getContext("2d", { alpha: false });
    const random = sequence();
    pen.fillStyle = "#557";
    pen.fillRect(0, 0, width, height);
    for (let count = (width * height * DENSITY) / 1000; count > 0; count -= 1) {
      pen.fillStyle = `hsl(${Math.floor(random() * 360)} 60% ${20 + Math.floor(random() * 60)}%)`;
      pen.beginPath();
      pen.arc(random() * width, random() * height, 2 + random() * 14, 0, 7);
      pen.fill();
    }
    pen.drawImage(canvas, 0, 0, width, height, width, 0, width, height);
    return canvas;
  }

  /** @param {number} width @param {number} height @param {number} fps @returns {MediaStreamTrack} */
  function film(width, height, fps) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const pen = canvas.getContext("2d", { alpha: false });
    const background = landscape(width, height);
    let picture = 0;
    function paint() {
      pen.drawImage(background, -((picture * PAN) % width), 0);
      pen.save();
      pen.translate(width / 2, height * 0.6);
      pen.rotate(picture / 40);
      pen.fillStyle = "#fd4";
      pen.fillRect(-width / 5, -height / 40, width / 2.5, height / 20);
      pen.restore();
      PaintedClock.paint(pen, width, height);
      picture += 1;
    }
    paint();
    // No rate here: each painting is one picture. The browser's own timer would now and then miss one.
    const track = canvas.captureStream().getVideoTracks()[0];
    const period = 1000 / fps + SLIDE;
    let due = performance.now();
    (function tick() {
      if (track.readyState === "ended") return;
      paint();
      const now = performance.now();
      due = Math.max(due + period, now - period); // a late picture does not make the next ones hurry
      setTimeout(tick, due - now);
    })();
    return track;
  }

  /** @returns {MediaStreamTrack} */
  function listen() {
    const context = new AudioContext();
    const tone = new OscillatorNode(context, { frequency: TONE });
    const loudness = new GainNode(context, { gain: 0.3 });
    const swell = new OscillatorNode(context, { frequency: SWELL });
    const depth = new GainNode(context, { gain: 0.2 });
    const output = new MediaStreamAudioDestinationNode(context);
    swell.connect(depth).connect(loudness.gain);
    tone.connect(loudness).connect(output);
    tone.start();
    swell.start();
    return output.stream.getAudioTracks()[0];
  }

  /** @param {any} wish a constraint @param {number} usual */
  const wished = (wish, usual) => (typeof wish === "number" ? wish : (wish && (wish.exact || wish.ideal)) || usual);

  if (!navigator.mediaDevices) return;
  navigator.mediaDevices.getUserMedia = async (/** @type {any} */ { video, audio }) => {
    const stream = new MediaStream();
    if (video) stream.addTrack(film(wished(video.width, WIDTH), wished(video.height, HEIGHT), wished(video.frameRate, FPS)));
    if (audio) stream.addTrack(listen());
    return stream;
  };
})();

// The scene every row films: getUserMedia gives a moving, detailed picture with the painted clock,
// and a beep with each flash.
//
//   scene.beeps()   [second, ms late] of each beep since the last call: the beep that belongs to a
//                   second began so much after it
//   scene.turn()    the phone is turned by a quarter: width and height of the pictures change
//                   places
//
// It runs before any page's own scripts. Only what asks for a camera pays for it: nothing is
// painted before the first getUserMedia.

(() => {
  const FPS = 30;
  const WIDTH = 640;
  const HEIGHT = 480;

  /**
   * Milliseconds by which each picture is later than the rate says, so that in 6 s the pictures
   * slide once past the refreshes of a screen with 60 a second. In step with them, a whole turn
   * would be up to one refresh better or worse than the next by mere chance.
   */
  const SLIDE = 1000 / 60 / (6 * FPS);

  /**
   * Pixels the background moves per picture, and shapes in it per 1000 pixels: enough that an
   * encoder has real work.
   */
  const PAN = 3;
  const DENSITY = 4;

  /**
   * Hertz and loudness (0..1) of the murmur that never ends, so that no encoder may rest, and of
   * the beep.
   */
  const MURMUR_TONE = 440;
  const MURMUR = 0.02;
  const BEEP_TONE = 1000;
  const BEEP = 0.5;

  /** Seconds a beep lasts. */
  const BEEP_LENGTH = 0.1;

  /** Milliseconds between two looks at the sound's clock, and how many of them count (0.4 s). */
  const LOOK_INTERVAL = 20;
  const LOOKS = 20;

  /**
   * Milliseconds: how long before its time a beep is ordered, and how long after it the page looks
   * when it really was.
   */
  const BEEP_AHEAD = 200;
  const BEEP_BEHIND = 450;

  /**
   * [second of PaintedClock.now(), ms by which its beep began late] of each beep that nobody has
   * asked for yet, and their most.
   * @type {number[][]}
   */
  let beeps = [];
  const BEEPS_LIMIT = 100;

  /** The phone is held the other way than at the beginning. */
  let turned = false;

  /**
   * A fixed sequence (Numerical Recipes' generator), so that every row and every run films the
   * same.
   */
  function sequence() {
    let state = 1;
    return () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
  }

  /**
   * @param {number} width
   * @param {number} height
   * @returns {HTMLCanvasElement} twice as wide as the picture, its right half like its left
   */
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

  /**
   * @param {number} width
   * @param {number} height
   * @param {number} fps
   * @returns {MediaStreamTrack}
   */
  function film(width, height, fps) {
    const canvas = document.createElement("canvas");
    const pen = canvas.getContext("2d", { alpha: false });
    /** @type {HTMLCanvasElement} */
    let background;
    /** @type {boolean | null} */
    let held = null;
    let picture = 0;
    function paint() {
      if (held !== turned) {
        if (held !== null) [width, height] = [height, width];
        held = turned;
        canvas.width = width;
        canvas.height = height;
        background = landscape(width, height);
      }
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
    // No rate here: each painting is one picture. The browser's own timer would now and then miss
    // one.
    const track = canvas.captureStream().getVideoTracks()[0];
    const period = 1000 / fps + SLIDE;
    let due = performance.now();
    (function tick() {
      if (track.readyState === "ended") return;
      paint();
      const now = performance.now();
      // A late picture does not make the next ones hurry.
      due = Math.max(due + period, now - period);
      setTimeout(tick, due - now);
    })();
    return track;
  }

  /**
   * A beep begins with each period of the flash, at the millisecond. The context renders its
   * samples in packets of some 10 ms, as a microphone gives them. Right after a packet its clock is
   * nearest to the present, so the smallest difference found between the two clocks tells when a
   * sample would have reached a microphone: that moment is where its delay begins. It waits up to a
   * packet before it is given to the page's track, as a microphone's sample does.
   * @returns {MediaStreamTrack}
   */
  function listen() {
    const context = new AudioContext();
    const output = new MediaStreamAudioDestinationNode(context);
    const murmur = new OscillatorNode(context, { frequency: MURMUR_TONE });
    const tone = new OscillatorNode(context, { frequency: BEEP_TONE });
    const loudness = new GainNode(context, { gain: 0 });
    murmur.connect(new GainNode(context, { gain: MURMUR })).connect(output);
    tone.connect(loudness).connect(output);
    murmur.start();
    tone.start();
    const track = output.stream.getAudioTracks()[0];
    /** @type {number[]} */
    const differences = [];
    const { FLASH_PERIOD } = PaintedClock;
    let ordered = 0;
    let begin = 0; // s of the context, of the beep ordered last
    let told = 0;
    const timer = setInterval(() => {
      if (track.readyState === "ended") return clearInterval(timer);
      if (context.state !== "running") return;
      const now = PaintedClock.now();
      differences.push(now - context.currentTime * 1000);
      if (differences.length > LOOKS) differences.shift();
      const difference = Math.min(...differences);
      if (ordered > told && now > ordered * FLASH_PERIOD + BEEP_BEHIND) {
        // All looks that count are later than the beep. A stop of the audio thread between ordering
        // and playing has made it late.
        told = ordered;
        beeps.push([ordered, begin * 1000 + difference - ordered * FLASH_PERIOD]);
        if (beeps.length > BEEPS_LIMIT) beeps.shift();
      }
      const next = Math.ceil(now / FLASH_PERIOD);
      if (next === ordered || next * FLASH_PERIOD - now > BEEP_AHEAD) return;
      ordered = next;
      begin = (next * FLASH_PERIOD - difference) / 1000;
      loudness.gain.setValueAtTime(BEEP, begin);
      loudness.gain.setValueAtTime(0, begin + BEEP_LENGTH);
    }, LOOK_INTERVAL);
    return track;
  }

  /** @param {any} wish a constraint @param {number} usual */
  const wished = (wish, usual) =>
    typeof wish === "number" ? wish : (wish && (wish.exact || wish.ideal)) || usual;

  globalThis.scene = {
    beeps() {
      const taken = beeps;
      beeps = [];
      return taken;
    },
    turn() {
      turned = !turned;
    },
  };

  if (!navigator.mediaDevices) return;
  navigator.mediaDevices.getUserMedia = async (/** @type {any} */ { video, audio }) => {
    const stream = new MediaStream();
    if (video)
      stream.addTrack(
        film(
          wished(video.width, WIDTH),
          wished(video.height, HEIGHT),
          wished(video.frameRate, FPS),
        ),
      );
    if (audio) stream.addTrack(listen());
    return stream;
  };
})();

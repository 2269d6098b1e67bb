// Hears the beeps of the scene (scene.js) in the sound that a page really plays.
//
// It runs before any page's own scripts, in every page. Whatever a page connects to its loudspeaker
// is connected to a listener, too, which notes when a beep begins. A beep is heard when its first
// sample leaves for the loudspeaker: AudioContext.getOutputTimestamp(), which contains the output
// latency that the browser knows of (a loudspeaker's own, such as Bluetooth's, is not in it).
//
//   ears.listen(stream)  listens to a MediaStream that an element plays: the sound is tapped before
//                        that element, see webrtc.js
//   ears.take()          ms of performance.now() of the beeps heard since the last call

globalThis.ears = (() => {
  /**
   * The listener, in the audio thread. A beep has an RMS of 0.35, the murmur between has 0.014. A
   * new beep begins only after a rest.
   */
  const LISTENER = `
    const LOUD = 0.1;
    const QUIET = 0.04;
    const BLOCK = 32; // samples, 0.7 ms
    const REST = 0.2; // s
    registerProcessor("bench-ear", class extends AudioWorkletProcessor {
      constructor() {
        super();
        this.loud = false;
        this.loudAt = -REST; // s
      }
      process([input], [[silence]]) {
        for (let begin = 0; begin < silence.length; begin += BLOCK) {
          let squares = 0;
          for (let at = begin; input.length > 0 && at < begin + BLOCK; at += 1) squares += input[0][at] ** 2;
          const level = Math.sqrt(squares / BLOCK);
          const time = (currentFrame + begin) / sampleRate;
          if (level >= LOUD && !this.loud) {
            if (time - this.loudAt >= REST) this.port.postMessage(time);
            this.loud = true;
          }
          if (level < QUIET) this.loud = false;
          if (this.loud) this.loudAt = time;
        }
        return true;
      }
    });`;

  /** @type {number[]} */
  let heard = [];

  /** Beeps kept when nobody asks. */
  const LIMIT = 1000;

  const { connect, disconnect } = AudioNode.prototype;

  /** What listens at each context's loudspeaker. @type {WeakMap<BaseAudioContext, GainNode>} */
  const places = new WeakMap();

  /**
   * @param {AudioContext} context
   * @returns {GainNode} goes to the listener as soon as there is one
   */
  function place(context) {
    const known = places.get(context);
    if (known) return known;
    const made = new GainNode(context);
    places.set(context, made);
    const url = URL.createObjectURL(new Blob([LISTENER], { type: "text/javascript" }));
    context.audioWorklet.addModule(url).then(
      () => {
        const ear = new AudioWorkletNode(context, "bench-ear", { outputChannelCount: [1] });
        ear.port.onmessage = ({ data }) => {
          const { contextTime, performanceTime } = context.getOutputTimestamp();
          if (!performanceTime) return; // nothing has reached the loudspeaker yet
          heard.push(performanceTime + (data - contextTime) * 1000);
          if (heard.length > LIMIT) heard.shift();
        };
        connect.call(made, ear);
        // It is silent; without this nobody would ask it for samples.
        connect.call(ear, context.destination);
      },
      (error) => console.error(`bench: no ears: ${error}`),
    );
    return made;
  }

  AudioNode.prototype.connect = function (/** @type {any[]} */ ...way) {
    if (way[0] instanceof AudioDestinationNode && this.context instanceof AudioContext)
      connect.call(this, place(this.context));
    return connect.apply(this, way);
  };

  AudioNode.prototype.disconnect = function (/** @type {any[]} */ ...way) {
    if (way[0] instanceof AudioDestinationNode && places.has(this.context))
      disconnect.call(this, places.get(this.context));
    return disconnect.apply(this, way);
  };

  /** @param {MediaStream} stream */
  function listen(stream) {
    const context = new AudioContext({ latencyHint: "interactive" });
    connect.call(context.createMediaStreamSource(stream), place(context));
  }

  function take() {
    const taken = heard;
    heard = [];
    return taken;
  }

  return { listen, take };
})();

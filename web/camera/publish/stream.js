// One stream of a camera (docs/protocol.md, "Streams from a camera"): its engine, and what should
// be filmed just now.
//
//   const pictures = new Stream(1);
//   pictures.engine = new RecorderEngine(1, output, options);
//   pictures.run(track);      // or null: nothing is to be sent now
//
// An engine that has given up is not started again: `failure` has its words until there is another
// track.

/** The numbers of an engine that is not there yet.
 *  @type {import("../encode/media-recorder.js").Stats} */
const NOTHING = {
  fps: 0,
  bitsPerSecond: 0,
  delay: null,
  mime: "",
  restarts: 0,
  silence: 0,
  dropped: { encoder: 0, network: 0 },
};

/** What is asked of any engine here, see media-recorder.js.
 *  @typedef {{track: MediaStreamTrack | null, able: boolean, running: boolean,
 *            stats: import("../encode/media-recorder.js").Stats,
 *            start: (track: MediaStreamTrack) => void, stop: () => void}} AnyEngine */

/** @template {AnyEngine} Engine */
export class Stream {
  /** @param {number} number on the wire */
  constructor(number) {
    this.number = number;
    /** Before it is chosen, null. @type {Engine | null} */
    this.engine = null;
    /** What the engine said when it gave up. */
    this.failure = "";
    /** The relay knows it on this connection. */
    this.announced = false;
    /** Restarts of engines that are gone. */
    this.pastRestarts = 0;
    /** What should be filmed just now, and when that began or bytes were sent last.
     *  @type {MediaStreamTrack | null} */
    this.wanted = null;
    this.at = 0;
  }

  get stats() {
    return this.engine ? this.engine.stats : NOTHING;
  }

  get running() {
    return this.engine !== null && this.engine.running;
  }

  /** Of all its engines. */
  get restarts() {
    return this.stats.restarts + this.pastRestarts;
  }

  /** Milliseconds for which no byte came although there should be some. */
  get silence() {
    const { engine, wanted, at } = this;
    return wanted && engine && engine.able ? performance.now() - at : 0;
  }

  /** Makes room for another engine. */
  retire() {
    this.stop();
    this.pastRestarts = this.restarts;
    this.engine = null;
  }

  /** Films this from now on, unless the engine has given up.
   *  @param {MediaStreamTrack | null} wanted */
  run(wanted) {
    const { engine } = this;
    if (!engine) return;
    if (wanted !== this.wanted) {
      this.wanted = wanted;
      this.at = performance.now();
    }
    const track = this.failure ? null : wanted;
    if (engine.track === track) return;
    if (track) engine.start(track);
    else engine.stop();
  }

  /** Bytes of it were sent. */
  sent() {
    this.at = performance.now();
  }

  stop() {
    if (this.engine) this.engine.stop();
  }
}

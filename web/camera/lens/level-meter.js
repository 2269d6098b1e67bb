// How loud the phone's microphone is, and whether anything but zeros comes out of it: a dead
// microphone gives nothing else, a quiet room always does.
//
//   const meter = new LevelMeter();
//   meter.listen(track);               // or null: there is none
//   meter.look(performance.now());     // every LOOK ms
//   // RMS 0..1, of now and the loudest of the last 2 s; null where nobody can know
//   meter.level, meter.loudest
//   // only zeros have come for 10 s, and nothing since, also from a microphone that was taken anew
//   meter.dead
//
// It listens beside whatever films: a recorder does not tell what it records, and before somebody
// starts filming nothing does. Web Audio's AnalyserNode does it in the audio thread; the page looks
// at some thousand samples, six times a second. Where the context does not run (another app has the
// audio device, the browser wants a tap), nothing is known, which is not the same as silence.

/**
 * Milliseconds between two looks, and samples that each sees: as many as come meanwhile at 48 kHz,
 * so that none is left out.
 */
export const LOOK = 150;
const WINDOW = 8192;

/**
 * Milliseconds over which the loudest moment is kept: a player hears of it every 2 s
 * (relay-link.js).
 */
const KEPT = 2000;

/** Milliseconds of nothing but zeros after which a microphone is dead. */
const DEAD_AFTER = 10000;

/**
 * Milliseconds without progress of the context after which nothing is known any more: it renders in
 * pieces of up to a fifth of a second.
 */
const STOPPED_AFTER = 1000;

export class LevelMeter {
  constructor() {
    /** @type {MediaStreamTrack | null} */
    this.track = null;
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {AnalyserNode | null} */
    this.analyser = null;
    this.samples = new Float32Array(WINDOW);
    /** @type {number | null} */
    this.level = null;
    /** Levels of the last looks, the oldest first. @type {{at: number, level: number}[]} */
    this.lately = [];
    /** Since when there were only zeros, ms. @type {number | null} */
    this.zerosSince = null;
    this.dead = false;
    this.rendered = 0; // s, the context's time at the last look that found progress
    this.renderedAt = -Infinity; // ms, when that was
  }

  /** @returns {number | null} */
  get loudest() {
    if (this.level === null) return null;
    return this.lately.reduce((most, { level }) => Math.max(most, level), 0);
  }

  /** @param {MediaStreamTrack | null} track */
  listen(track) {
    if (track === this.track) return;
    this._stop();
    this.track = track;
    if (!track || typeof AudioContext !== "function") return;
    try {
      // One for each track: an older one may have another rate than the microphone, and then hears
      // nothing (Firefox, Safari).
      const context = new AudioContext({ latencyHint: "playback" });
      this.context = context;
      const analyser = context.createAnalyser();
      analyser.fftSize = WINDOW;
      context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
      this.analyser = analyser;
      // A context may start suspended, and the system suspends it for a call; while a page has the
      // microphone it may run without a touch.
      const resume = () => {
        if (this.context === context && context.state !== "running" && context.state !== "closed")
          context.resume().catch(() => undefined);
      };
      context.onstatechange = resume;
      resume();
    } catch (error) {
      console.warn("the level of the microphone:", error);
      this._stop();
    }
  }

  /** @param {number} now ms */
  look(now) {
    const { context, analyser, samples } = this;
    if (!context || !analyser) return;
    if (context.state !== "running" || context.currentTime <= this.rendered) {
      if (context.state !== "running" || now - this.renderedAt > STOPPED_AFTER) this._forget();
      // It may live again, and nobody would know.
      if (now - this.renderedAt > DEAD_AFTER) this.dead = false;
      return;
    }
    this.rendered = context.currentTime;
    this.renderedAt = now;
    analyser.getFloatTimeDomainData(samples);
    this._take(samples, now);
  }

  /** @param {Float32Array} samples @param {number} now ms */
  _take(samples, now) {
    let squares = 0;
    for (const sample of samples) squares += sample * sample;
    this.level = Math.min(1, Math.sqrt(squares / samples.length));
    if (this.level > 0) {
      this.zerosSince = null;
      this.dead = false;
    } else if (this.zerosSince === null) this.zerosSince = now;
    else if (now - this.zerosSince >= DEAD_AFTER) this.dead = true;
    this.lately.push({ at: now, level: this.level });
    while (now - this.lately[0].at > KEPT) this.lately.shift();
  }

  _forget() {
    this.level = this.zerosSince = null;
    this.lately = [];
  }

  _stop() {
    this._forget();
    if (this.context) this.context.close().catch(() => undefined);
    this.context = this.analyser = null;
    this.rendered = 0;
  }
}

// The jitter buffer of live sound, in the audio thread: samples arrive in bursts, leave evenly, and wait as briefly as the network allows.
//
// processorOptions: {sampleRate, channels} of the samples to come.
// Messages in:  {planes: Float32Array[]}  one decoded packet, a plane per channel
//               {stop: true}              the node is done with
// Messages out: {level, underflows, targetMs}  ten times a second: RMS of 100 ms (0..1), how often it ran dry, what it aims to hold
//
// Three measures keep the delay small. It starts when `target` has arrived: one packet and a reserve against jitter. What was never
// needed of the reserve is given back, by playing up to 0.5 % faster (nobody hears that). What is far too much goes at once, cross-faded.

/** Seconds the ring holds at least. */
const CAPACITY = 2;

/** Seconds: the reserve at first, at least and at most; what running dry adds, and what ten quiet seconds take away. */
const FIRST_RESERVE = 0.03;
const LEAST_RESERVE = 0.015;
const MOST_RESERVE = 0.4;
const UNDERFLOW_STEP = 0.02;
const DECAY_STEP = 0.002;
const DECAY_WINDOW = 10;

/** Seconds that have to arrive before the first sound, however short the packets are. */
const LEAST_TARGET = 0.06;

/** Seconds beyond the target after which sound is skipped. */
const OVERFLOW = 0.12;

/** Seconds: silence longer than this was a pause of the camera and no jitter. */
const PAUSE = 1;

/** Seconds of each fade: in, out, and across a skip. Shorter ones click. */
const FADE = 0.005;

/** How the speed follows the surplus: the largest change, per second of surplus, and the surplus (s) that is left alone. */
const MOST_BEND = 0.005;
const BEND_GAIN = 0.1;
const BEND_TOLERANCE = 0.005;

/** Seconds between two reports, and between two looks at the lowest fill. */
const REPORT_INTERVAL = 0.1;
const WATCH_INTERVAL = 1;

/** Positions are folded back before they leave the range of 32-bit index arithmetic. */
const FOLD_LIMIT = 2 ** 30;

class LiveSound extends AudioWorkletProcessor {
  /** @param {{processorOptions: {sampleRate: number, channels: number}}} options */
  constructor(options) {
    super();
    const { sampleRate: rate, channels } = options.processorOptions;
    this.rate = rate;
    this.step = rate / sampleRate;
    let size = 1024;
    while (size < CAPACITY * rate) size *= 2;
    this.size = size;
    this.mask = size - 1;
    this.fadeLength = Math.ceil(FADE * sampleRate);
    this.ring = [];
    this.tails = [];
    for (let channel = 0; channel < channels; channel += 1) {
      this.ring.push(new Float32Array(size));
      this.tails.push(new Float32Array(this.fadeLength)); // what would have been heard, had nothing been skipped
    }
    this.last = new Float32Array(channels);
    this.written = 0; // in samples of the track
    this.read = 0; // in samples of the track, with a fraction
    this.packet = 0;
    this.reserve = FIRST_RESERVE * rate;
    this.playing = false;
    this.everPlayed = false;
    this.dryAt = 0; // currentTime, s
    this.gain = 0;
    this.crossing = 0;
    this.bend = 1;
    this.lowest = Infinity;
    this.watchedAt = 0;
    this.quietLowest = Infinity;
    this.quietSince = 0;
    this.underflows = 0;
    this.squares = 0;
    this.counted = 0;
    this.alive = true;
    this.report = { level: 0, underflows: 0, targetMs: 0 };
    this.port.onmessage = (event) => {
      if (event.data.stop) this.alive = false;
      else this.push(event.data.planes);
    };
  }

  get target() {
    return Math.max(LEAST_TARGET * this.rate, this.packet + this.reserve);
  }

  /** @param {Float32Array[]} planes */
  push(planes) {
    const count = planes[0].length;
    if (count > this.size / 2) return; // no packet is a second long
    const fill = this.written - this.read;
    if (this.playing) this.lowest = Math.min(this.lowest, fill);
    this.packet = Math.max(count, this.packet - (this.packet - count) / 64);
    if (fill + count > this.size - 4) this.skipTo(this.target);
    for (let channel = 0; channel < this.ring.length; channel += 1) {
      const ring = this.ring[channel];
      const plane = planes[Math.min(channel, planes.length - 1)];
      const start = this.written & this.mask;
      const head = Math.min(count, this.size - start);
      ring.set(head === count ? plane : plane.subarray(0, head), start);
      if (head < count) ring.set(plane.subarray(head), 0);
    }
    this.written += count;
    if (!this.playing) this.begin();
    else if (this.written - this.read > this.target + OVERFLOW * this.rate) this.skipTo(this.target);
    if (this.read > FOLD_LIMIT) {
      const fold = Math.floor(this.read / this.size) * this.size - this.size;
      this.read -= fold;
      this.written -= fold;
    }
  }

  begin() {
    const silence = currentTime - this.dryAt;
    const { target } = this;
    if (this.written - this.read < target) return;
    if (this.everPlayed && silence < PAUSE) {
      this.underflows += 1;
      this.reserve = Math.min(MOST_RESERVE * this.rate, this.reserve + UNDERFLOW_STEP * this.rate);
      this.quietSince = currentTime;
      this.quietLowest = Infinity;
    }
    this.read = Math.max(this.read, this.written - this.target);
    this.playing = true;
    this.everPlayed = true;
    this.lowest = Infinity;
    this.watchedAt = currentTime;
    this.bend = 1;
  }

  /** Drops all but the newest samples. @param {number} keep */
  skipTo(keep) {
    const to = this.written - keep;
    if (to <= this.read) return;
    if (this.playing) {
      for (let channel = 0; channel < this.ring.length; channel += 1) {
        const tail = this.tails[channel];
        const ring = this.ring[channel];
        for (let index = 0; index < this.fadeLength; index += 1) tail[index] = this.sample(ring, this.read + index * this.step);
      }
      this.crossing = this.fadeLength;
    }
    this.read = to;
    this.lowest = Infinity;
  }

  /** Between the samples: a cubic through the four nearest (Catmull and Rom). @param {Float32Array} ring @param {number} position */
  sample(ring, position) {
    const base = Math.floor(position);
    const part = position - base;
    const b = ring[base & this.mask];
    if (part === 0) return b;
    const a = ring[(base - 1) & this.mask];
    const c = ring[(base + 1) & this.mask];
    const d = ring[(base + 2) & this.mask];
    return b + 0.5 * part * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a)));
  }

  /** @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs @returns {boolean} */
  process(_inputs, outputs) {
    const output = outputs[0];
    const length = output[0].length;
    const { ring, last, tails } = this;
    const channels = ring.length;
    const fade = 1 / this.fadeLength;
    this.watch();
    for (let index = 0; index < length; index += 1) {
      if (this.playing && this.read + 3 > this.written) {
        this.playing = false;
        this.dryAt = currentTime;
      }
      this.gain = this.playing ? Math.min(1, this.gain + fade) : Math.max(0, this.gain - fade);
      const old = this.crossing * fade;
      for (let channel = 0; channel < channels; channel += 1) {
        let value = last[channel];
        if (this.playing) {
          value = this.sample(ring[channel], this.read);
          if (this.crossing > 0) value = value * (1 - old) + tails[channel][this.fadeLength - this.crossing] * old;
          last[channel] = value;
        }
        value *= this.gain;
        if (channel < output.length) output[channel][index] = value;
        if (channel === 0) this.squares += value * value;
      }
      for (let channel = channels; channel < output.length; channel += 1) output[channel][index] = output[0][index];
      if (this.playing) this.read += this.step * this.bend;
      if (this.crossing > 0) this.crossing -= 1;
    }
    this.counted += length;
    if (this.counted >= REPORT_INTERVAL * sampleRate) this.tell();
    return this.alive;
  }

  /** Once a second: is there more than the reserve even at the lowest point? */
  watch() {
    if (!this.playing || currentTime - this.watchedAt < WATCH_INTERVAL || this.lowest === Infinity) return;
    this.watchedAt = currentTime;
    const surplus = (this.lowest - this.reserve) / this.rate;
    this.bend = Math.abs(surplus) < BEND_TOLERANCE ? 1 : 1 + Math.max(-MOST_BEND, Math.min(MOST_BEND, surplus * BEND_GAIN));
    this.quietLowest = Math.min(this.quietLowest, this.lowest);
    this.lowest = Infinity;
    if (currentTime - this.quietSince < DECAY_WINDOW) return;
    const least = LEAST_RESERVE * this.rate;
    if (this.quietLowest > least) this.reserve = Math.max(least, this.reserve - DECAY_STEP * this.rate);
    this.quietSince = currentTime;
    this.quietLowest = Infinity;
  }

  tell() {
    this.report.level = Math.sqrt(this.squares / this.counted);
    this.report.underflows = this.underflows;
    this.report.targetMs = Math.round((this.target / this.rate) * 1000);
    this.squares = 0;
    this.counted = 0;
    this.port.postMessage(this.report);
  }
}

registerProcessor("live-sound", LiveSound);

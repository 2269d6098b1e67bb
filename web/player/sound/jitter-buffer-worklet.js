// The jitter buffer of live sound, in the audio thread: packets arrive unevenly, leave evenly, and
// wait as briefly as the network allows.
//
// Messages in:   {source: MessagePort}  where the packets come from; an earlier source is closed
//                {hold: s}              wait so much longer than the network asks for (for late
//                pictures) {stop: true}           the node is done with
// The source's:  {planes: Float32Array[], sampleRate: Hz, timestamp: µs}  one decoded packet: a
//                plane per channel, time of its first sample
// Messages out:  {level, underflows, target, offset, earliest, heard}  ten times a second level:
//                RMS of 100 ms, 0..1; underflows: how often it ran dry; target: what it aims to
//                hold when a packet has just come, s; offset: time of the sample that is being
//                played, minus currentTime, s; earliest: what the offset would be without hold;
//                heard: whether there is anything to hear
//
// The timestamps decide. Every position in the ring has a time, and `read`, the position that is
// played, goes on through silence as through sound. So a packet that is lost, or a camera that
// holds on, leaves exactly as much silence as it should, and what comes too late for its moment is
// left out: after a freeze there is no queue to get rid of. What has to be found is only the offset
// between the two clocks, as in live-edge.js: each packet says how far its time is from the moment
// of its arrival; all but the latest few shall be in time, with a reserve that grows when it runs
// dry and shrinks again in quiet times. Because arrivals are read on the loudspeaker's own clock,
// its drift against the camera's is one more slow change of that offset. Small errors are played
// away by a speed that nobody hears, large ones by a cross-faded skip, or by a silence.

/**
 * Seconds that the ring holds at least: MOST_JITTER, the longest hold (sound.js) and reserve, and a
 * burst of a second.
 */
const CAPACITY = 4;

/**
 * Arrivals are remembered so long (seconds), so many (10 ms packets need 500); this part of them
 * may come too late, and one if there are so many.
 */
const WINDOW = 5;
const MOST_ARRIVALS = 512;
const LATE_SHARE = 0.02;
const ENOUGH_FOR_ONE = 8;

/** Part of a packet's length: what comes sooner behind the one before comes in one go with it. */
const TOGETHER = 0.5;

/**
 * Seconds by which the latest packets may make all wait: recorders that give a fragment each second
 * are the worst known.
 */
const MOST_JITTER = 1.5;

/** Seconds between two looks at the remembered arrivals. */
const JUDGE_INTERVAL = 0.1;

/** Seconds: the reserve at first, at least and at most; what running dry adds. */
const FIRST_RESERVE = 0.02;
const LEAST_RESERVE = 0.015;
const MOST_RESERVE = 0.4;
const UNDERFLOW_STEP = 0.02;

/**
 * The reserve shrinks by so much (seconds a second) after a time without running dry (seconds),
 * doubled each time that was a mistake.
 */
const DECAY = 0.003;
const FIRST_PATIENCE = 5;
const LONGEST_PATIENCE = 300;

/**
 * Seconds that a packet and what it waits make up at least, however short the packets are and quiet
 * the network is.
 */
const LEAST_TARGET = 0.04;

/**
 * Seconds by which a timestamp may differ from the number of samples before it. Less is rounding
 * (WebM counts milliseconds), the microphone's drift or the relay's better knowledge of the
 * recorder's zero, and moves the line slowly; more is a gap.
 */
const GAP = 0.015;

/**
 * A gap or a step back longer than this (seconds) is a new beginning: a pause, or a recorder that
 * has begun afresh.
 */
const PAUSE = 1;

/**
 * Seconds without anything heard after which what is remembered of the network is forgotten: it has
 * changed.
 */
const LOST = 3;

/**
 * Packets that come at once within so many seconds of a beginning are a backlog, or the relay's
 * replay: the newest counts.
 */
const REPLAY = 0.15;

/** Seconds of each fade: in, out, and across a skip. Shorter ones click. */
const FADE = 0.005;

/**
 * How the speed follows the error: per second of error, up to a bend that nobody hears; beyond that
 * error faster, up to what is still pleasant; and the error (s) that is too far for any.
 */
const GAIN = 0.25;
const GENTLE_BEND = 0.005;
const FAR = GENTLE_BEND / GAIN;
const FAR_GAIN = 0.15;
const MOST_BEND = 0.02;
const JUMP = 0.12;

/** Seconds between two reports. */
const REPORT_INTERVAL = 0.1;

/** Samples behind `read` that the interpolation may touch, itself included. */
const AHEAD = 3;

/** Positions are folded back before they leave the range of 32-bit index arithmetic. */
const FOLD_LIMIT = 2 ** 30;

/** Silences that lie ahead, at most: one may come with every other packet of two seconds. */
const MOST_HOLES = 64;

/** When packets came, against their own times: what is usual, and what of the latest ones counts.
 *  */
export class Arrivals {
  constructor() {
    /** The moment, the packet's time minus it, and 1 if it came in one go with the one before. The
     *  oldest are overwritten. */
    this.times = new Float64Array(MOST_ARRIVALS);
    this.distances = new Float64Array(MOST_ARRIVALS);
    this.together = new Uint8Array(MOST_ARRIVALS);
    this.sorted = new Float64Array(MOST_ARRIVALS);
    this.count = 0;
    this.judgedAt = 0;
    this.usual = 0; // of all distances: the median
    this.late = 0; // that of the latest packets that count
    this.arrivedAt = -Infinity;
    this.beganAt = 0;
  }

  /** What comes from now on says nothing of what came before. @param {number} now s */
  begin(now) {
    this.beganAt = now;
    this.count = 0;
  }

  /** @param {number} distance the packet's time minus now, s
   *  @param {number} duration s @param {number} now s */
  add(distance, duration, now) {
    const together = now - this.arrivedAt < duration * TOGETHER;
    this.arrivedAt = now;
    const starting = now - this.beganAt < REPLAY;
    if (starting && together) this.count = 0;
    const index = this.count % MOST_ARRIVALS;
    this.times[index] = now;
    this.distances[index] = distance;
    this.together[index] = together && !starting ? 1 : 0;
    this.count += 1;
    const due = now - this.judgedAt > JUDGE_INTERVAL;
    if (starting || distance < this.late || due) this.judge(now);
  }

  /** What do the arrivals of the last seconds say? @param {number} now s */
  judge(now) {
    this.judgedAt = now;
    const all = this.recent(false, now);
    this.usual = all[all.length >> 1];
    const fastest = all[all.length - 1];
    // What comes in one go was held up by one thing: it counts once, with its first packet, which
    // is the latest.
    const single = this.recent(true, now);
    const { length } = single;
    if (length === 0) return;
    const ignored = Math.max(Math.floor(length * LATE_SHARE), length < ENOUGH_FOR_ONE ? 0 : 1);
    this.late = Math.max(single[ignored], fastest - MOST_JITTER);
  }

  /** @param {boolean} single without those that came together with another @param {number} now s
   *  @returns {Float64Array} distances, the latest packet's first */
  recent(single, now) {
    const kept = Math.min(this.count, MOST_ARRIVALS);
    let count = 0;
    for (let index = 0; index < kept; index += 1) {
      if (now - this.times[index] > WINDOW || (single && this.together[index])) continue;
      this.sorted[count] = this.distances[index];
      count += 1;
    }
    return this.sorted.subarray(0, count).sort();
  }

  /** All arrivals so far have been taken for this much (s) too late. @param {number} seconds */
  correct(seconds) {
    this.usual += seconds;
    this.late += seconds;
    for (let index = 0; index < MOST_ARRIVALS; index += 1) this.distances[index] += seconds;
  }
}

/** How long packets wait beyond the latest that count, so that none is missing: longer after each
 *  time that it ran dry, and shorter in quiet times. */
export class Reserve {
  constructor() {
    this.seconds = FIRST_RESERVE;
    this.patience = FIRST_PATIENCE;
    this.shrunk = false;
    this.missedAt = 0;
    this.underflows = 0;
  }

  /** It ran dry, and what it lacked has come. @param {number} now s */
  grow(now) {
    this.underflows += 1;
    this.seconds = Math.min(MOST_RESERVE, this.seconds + UNDERFLOW_STEP);
    this.missedAt = now;
    if (this.shrunk) this.patience = Math.min(LONGEST_PATIENCE, this.patience * 2);
    this.shrunk = false;
  }

  /** @param {number} seconds that have passed @param {number} now s */
  ease(seconds, now) {
    if (this.seconds <= LEAST_RESERVE || now - this.missedAt < this.patience) return;
    this.shrunk = true;
    this.seconds = Math.max(LEAST_RESERVE, this.seconds - DECAY * seconds);
  }
}

/** Samples of one kind of packets, a plane for each channel: the oldest are overwritten. */
export class SampleRing {
  /** @param {number} rate Hz @param {number} channels */
  constructor(rate, channels) {
    this.rate = rate;
    let size = 1024;
    while (size < CAPACITY * rate) size *= 2;
    this.size = size;
    this.mask = size - 1;
    /** @type {Float32Array[]} */
    this.planes = [];
    while (this.planes.length < channels) this.planes.push(new Float32Array(size));
  }

  /** @param {Float32Array[]} planes @param {number} count samples of each
   *  @param {number} position of the first */
  write(planes, count, position) {
    const start = position & this.mask;
    const head = Math.min(count, this.size - start);
    for (let channel = 0; channel < this.planes.length; channel += 1) {
      const ring = this.planes[channel];
      const plane = planes[channel];
      ring.set(head === count ? plane : plane.subarray(0, head), start);
      if (head < count) ring.set(plane.subarray(head), 0);
    }
  }

  /** Between the samples: a cubic through the four nearest (Catmull and Rom).
   *  @param {number} channel @param {number} position */
  sample(channel, position) {
    const ring = this.planes[channel];
    const base = Math.floor(position);
    const part = position - base;
    const b = ring[base & this.mask];
    if (part === 0) return b;
    const a = ring[(base - 1) & this.mask];
    const c = ring[(base + 1) & this.mask];
    const d = ring[(base + 2) & this.mask];
    return (
      b + 0.5 * part * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a)))
    );
  }
}

class LiveSound extends AudioWorkletProcessor {
  constructor() {
    super();
    this.fadeLength = Math.ceil(FADE * sampleRate);
    this.hold = 0;
    this.reserve = new Reserve();
    this.missing = false; // it ran dry, and that has been counted
    this.arrivals = new Arrivals();
    this.heardAt = 0;
    this.squares = 0;
    this.counted = 0;
    this.alive = true;
    this.report = { level: 0, underflows: 0, target: 0, offset: 0, earliest: 0, heard: false };
    /** @type {MessagePort | null} */
    this.source = null;
    // These are the track's, see shape().
    this.ring = new SampleRing(sampleRate, 1);
    this.step = 1;
    /** What would have been heard, had nothing been cut. @type {Float32Array[]} */
    this.tails = [];
    this.written = 0; // positions, in samples of the track
    this.read = 0; // with a fraction; it goes on also where nothing is written
    this.origin = 0; // time of position 0, s
    this.resumeAt = 0; // nothing is heard before this position
    /** Silences between packets. @type {{from: number, to: number}[]} */
    this.holes = [];
    this.packet = 0; // s
    this.begun = false;
    this.fresh = true; // nothing was heard since it began
    this.voiced = false; // something is being heard
    this.gain = 0;
    this.crossing = 0; // samples of the tails that are still to be heard
    this.bend = 1;
    this.shape(sampleRate, 1);
    this.port.onmessage = ({ data }) => {
      if (data.source) this.listenTo(data.source);
      else if (data.stop) this.stop();
      else this.hold = data.hold;
    };
  }

  /** @param {MessagePort} source */
  listenTo(source) {
    if (this.source) this.source.close();
    this.source = source;
    source.onmessage = ({ data }) => this.push(data);
  }

  stop() {
    this.alive = false;
    if (this.source) this.source.close();
    this.source = null;
  }

  /**
   * Everything anew, for packets of another kind.
   * @param {number} rate Hz
   * @param {number} channels
   */
  shape(rate, channels) {
    this.ring = new SampleRing(rate, channels);
    this.step = rate / sampleRate;
    this.tails = [];
    for (let channel = 0; channel < channels; channel += 1) {
      this.tails.push(new Float32Array(this.fadeLength));
    }
    this.written = this.read = this.origin = this.resumeAt = this.packet = this.gain = 0;
    this.holes = [];
    this.begun = this.voiced = false;
    this.fresh = true;
    this.crossing = 0;
    this.bend = 1;
  }

  /** Time of the sample that is played, minus currentTime. */
  get offset() {
    return this.origin + this.read / this.ring.rate - currentTime;
  }

  /** Seconds between the arrival of the latest packets that count and their moment. */
  get margin() {
    const { usual, late } = this.arrivals;
    const least = LEAST_TARGET - this.packet - Math.max(0, usual - late);
    return Math.max(this.reserve.seconds, least);
  }

  /** Where the offset should be. */
  get goal() {
    return this.arrivals.late - this.margin - this.hold;
  }

  /** @param {{planes: Float32Array[], sampleRate: number, timestamp: number}} packet */
  push({ planes, sampleRate: rate, timestamp }) {
    if (rate !== this.ring.rate || planes.length !== this.ring.planes.length) {
      this.shape(rate, planes.length);
    }
    const count = planes[0].length;
    const { size } = this.ring;
    if (count > size / 4) return; // no packet is a second long
    const duration = count / rate;
    this.packet = Math.max(duration, this.packet - (this.packet - duration) / 64);
    const dry = !this.voiced && this.read + AHEAD > this.written;
    this.follow(timestamp / 1e6, duration, dry);
    const start = this.written;
    this.ring.write(planes, count, start);
    this.written += count;
    this.arrivals.add(this.origin + start / rate - currentTime, duration, currentTime);
    if (dry && !this.fresh && start < this.read) this.miss();
    // In a silence that has to be anyway it goes to its place at once.
    if (this.fresh || (dry && this.goal < this.offset))
      this.read = (this.goal + currentTime - this.origin) * rate;
    // The reader has lost its way.
    if (this.written - this.read > size - AHEAD - 1) this.jump(size / 2 / rate);
    if (this.written > FOLD_LIMIT) {
      this.fold(Math.floor(this.written / size - 1) * size);
    }
  }

  /**
   * Where on the line does this packet belong?
   * @param {number} moment s
   * @param {number} duration s
   * @param {boolean} dry
   */
  follow(moment, duration, dry) {
    const gap = moment - (this.origin + this.written / this.ring.rate);
    const lost = dry && !this.fresh && currentTime - this.heardAt > LOST;
    if (!this.begun || Math.abs(gap) > PAUSE || lost) {
      if (lost && Math.abs(gap) < GAP) this.miss();
      this.begin(moment);
    } else if (gap > GAP && this.holes.length < MOST_HOLES) {
      const to = this.written + Math.round(gap * this.ring.rate);
      this.holes.push({ from: this.written, to });
      this.written = to;
    } else {
      // A step back: the relay knows better now where the recorder's zero lies. Either the last
      // packets were wrong by that, then what is heard is later than was thought, and steer() sees
      // to it; or all that is remembered was, then nothing that is heard changes.
      const back = gap < -GAP;
      if (back && moment - currentTime < this.arrivals.late) this.arrivals.correct(gap);
      this.origin += back ? gap : gap * duration;
    }
  }

  /** @param {number} moment time of the next packet, s */
  begin(moment) {
    if (this.voiced) this.cut();
    this.begun = true;
    this.arrivals.begin(currentTime);
    this.holes.length = 0;
    this.origin = moment - this.written / this.ring.rate;
    this.resumeAt = this.written;
    this.fresh = true;
    this.bend = 1;
  }

  /** It ran dry, and what it lacked has come. */
  miss() {
    if (this.missing) return;
    this.missing = true;
    this.reserve.grow(currentTime);
  }

  /** Brings the offset to where it should be. */
  steer() {
    if (!this.begun || this.fresh) return;
    const error = this.goal - this.offset; // above 0: what is heard is too late
    const size = Math.abs(error);
    if (size > JUMP) {
      this.jump(error);
      this.bend = 1;
      return;
    }
    const bend =
      size < FAR ? size * GAIN : Math.min(MOST_BEND, GENTLE_BEND + (size - FAR) * FAR_GAIN);
    this.bend = error > 0 ? 1 + bend : 1 - bend;
  }

  /**
   * Above 0: skips so much. Below 0: is silent for so long, as nothing should be heard twice.
   * @param {number} seconds
   */
  jump(seconds) {
    if (this.voiced) {
      this.resumeAt = this.read;
      this.cut();
    }
    this.read += seconds * this.ring.rate;
  }

  /** What is heard ends here: whatever comes next, it fades. */
  cut() {
    const { ring, tails, fadeLength } = this;
    const fade = 1 / fadeLength;
    const last = this.limit - AHEAD;
    for (let channel = 0; channel < tails.length; channel += 1) {
      const tail = tails[channel];
      for (let index = 0; index < fadeLength; index += 1) {
        const older = this.crossing - index; // an earlier cut may not have faded yet
        let value = older > 0 ? tail[fadeLength - older] * older * fade : 0;
        const position = Math.min(this.read + index * this.step, last);
        value += ring.sample(channel, position) * Math.min(1, this.gain + (index + 1) * fade);
        tail[index] = value;
      }
    }
    this.crossing = fadeLength;
    this.voiced = false;
  }

  /** End of what is there to be played without a silence. */
  get limit() {
    return this.holes.length > 0 ? this.holes[0].from : this.written;
  }

  /** Is there something at `read`, and may it be heard? */
  look() {
    while (this.holes.length > 0 && this.read + AHEAD > this.holes[0].from) {
      if (this.voiced) this.cut();
      this.resumeAt = this.holes[0].to;
      this.holes.shift();
    }
    const there = this.begun && this.read + AHEAD <= this.limit;
    if (this.voiced && !there) {
      this.cut();
      this.heardAt = currentTime;
      this.resumeAt = this.written;
    } else if (!this.voiced && there && this.read >= this.resumeAt) {
      this.voiced = true;
      this.gain = 0;
      this.fresh = false;
      this.missing = false;
    }
  }

  /** @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs @returns {boolean} */
  process(_inputs, outputs) {
    const output = outputs[0];
    const length = output[0].length;
    const { ring, tails, fadeLength } = this;
    const channels = tails.length;
    const fade = 1 / fadeLength;
    this.reserve.ease(length / sampleRate, currentTime);
    this.steer();
    const step = this.step * this.bend;
    for (let index = 0; index < length; index += 1) {
      this.look();
      if (this.voiced && this.gain < 1) this.gain = Math.min(1, this.gain + fade);
      for (let channel = 0; channel < channels; channel += 1) {
        let value = this.voiced ? ring.sample(channel, this.read) * this.gain : 0;
        if (this.crossing > 0)
          value += tails[channel][fadeLength - this.crossing] * this.crossing * fade;
        if (channel < output.length) output[channel][index] = value;
        if (channel === 0) this.squares += value * value;
      }
      for (let channel = channels; channel < output.length; channel += 1)
        output[channel][index] = output[0][index];
      if (this.crossing > 0) this.crossing -= 1;
      this.read += step;
    }
    this.counted += length;
    if (this.counted >= REPORT_INTERVAL * sampleRate) this.tell(length / sampleRate);
    return this.alive;
  }

  /**
   * @param {number} ahead seconds by which `read` is ahead of currentTime: what was just rendered
   */
  tell(ahead) {
    const { report } = this;
    report.level = Math.sqrt(this.squares / this.counted);
    report.underflows = this.reserve.underflows;
    report.target = this.packet + this.arrivals.usual - this.goal;
    report.offset = this.offset - ahead;
    report.earliest = this.goal + this.hold;
    report.heard = this.voiced;
    this.squares = 0;
    this.counted = 0;
    this.port.postMessage(report);
  }

  /** @param {number} count positions, a multiple of the ring's size */
  fold(count) {
    this.read -= count;
    this.written -= count;
    this.resumeAt -= count;
    this.origin += count / this.ring.rate;
    for (const hole of this.holes) {
      hole.from -= count;
      hole.to -= count;
    }
  }
}

registerProcessor("live-sound", LiveSound);

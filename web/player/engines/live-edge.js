// Where the clock of a live media element should stand, and how to get it there. No media element
// in here: numbers in, a decision out.
//
// Every frame says how far its time is from the moment of its arrival. Were the network perfect,
// this distance would be the same for all; jitter makes some frames late. The clock should run just
// so far behind the arrivals that only the latest few miss their moment, plus what this browser
// needs to decode without stalling: the reserve, which grows with every stall and shrinks again in
// good times.
//
// A backlog (the replay for a newcomer, or what a frozen network held back) says nothing of the
// jitter: nothing is learned from it, and when its last frame is there the clock goes to the live
// edge at once.

/**
 * What is kept between a frame's arrival and its moment, in seconds: to begin with, at most, and
 * what a stall adds; and the lowest and highest playbackRate with which to correct.
 * @typedef {{start: number, most: number, step: number, slowest: number, fastest: number}}
 * Reserve
 */

/**
 * One frame at 60 Hz to decode and draw. One that comes too late is shown all the same
 * (durations.js), but with less Chrome now and then has none left and waits for 30 ms. Pictures
 * alone may hurry, nobody hears it.
 * @type {Reserve}
 */
export const VIDEO_RESERVE = { start: 0.016, most: 0.4, step: 0.015, slowest: 0.8, fastest: 3 };

/** Chrome's audio renderer holds 200 ms back by itself. @type {Reserve} */
export const AUDIO_RESERVE = { start: 0.2, most: 0.8, step: 0.05, slowest: 0.9, fastest: 1.1 };

/** Frames that may be late, and milliseconds over which they are counted. */
const LATE_SHARE = 0.1;
const WINDOW = 4000;
const MOST_SAMPLES = 400;

/**
 * No frame for so long (ms) is a frozen network, a paused camera or a very slow one: the clock may
 * run out by itself, and what comes next may be a backlog. A second freeze within the window is no
 * accident but what this network is like, and is learned like other jitter.
 */
const FREEZE = 250;

/** A backlog is over when for so long (ms) no frame has come at twice the speed of its time. */
const BACKLOG_REST = 60;

/** Seconds between arrival and moment as long as nothing is known yet. */
const FIRST_GUESS = 0.05;

/**
 * An error (s) left alone; per second of error so much is added to the rate, which is kept until
 * the error is gone: each change of the rate costs WebKitGTK some milliseconds.
 */
const TOLERANCE = 0.01;
const GAIN = 3;
const RATE_STEP = 0.01;

/** A kept rate is given up for another one when that differs by this factor. */
const RATE_DIFFERS = 2;

/**
 * Corrections (ms apart, in the same direction) that come so soon after one another were in vain:
 * then errors up to WIDEST (s) are left alone.
 */
const IN_VAIN = 2000;
const WIDEST = 0.04;
const WIDER = 1.5;
const NARROWER = 0.8;

/**
 * A rate kept for so long (ms) that has moved the clock by less than this part of what it should
 * has no effect. Twice in a row, and this browser does not obey: it jumps instead, and is tried
 * again after so long (ms).
 */
const RATE_TRIAL = 1000;
const RATE_EFFECT = 0.2;
const TRIALS = 2;
const OBEY_AGAIN = 120000;

/**
 * Seconds too far off for a small correction, and milliseconds between two jumps. Without a rate
 * that works, sooner but rarer.
 */
const JUMP_ERROR = 0.5;
const JUMP_INTERVAL = 2000;
const JUMP_ERROR_ALONE = 0.25;
const JUMP_INTERVAL_ALONE = 3000;

/**
 * So far behind (s) it jumps even where that means to decode again what was shown: hurrying would
 * take longer.
 */
const FAR_BEHIND = 3;

/**
 * A jump that is needed again within so many intervals was in vain: the next interval is twice as
 * long, up to this (ms).
 */
const JUMP_IN_VAIN = 4;
const LONGEST_JUMP_INTERVAL = 60000;

/**
 * Milliseconds: stalls this near to one another are one; one this soon after the last adds twice as
 * much, so that a browser that needs 300 ms gets there in a moment.
 */
const STALL_SAME = 300;
const STALL_AGAIN = 3000;

/**
 * The reserve shrinks by so much (seconds a second) after a time without stalls (seconds), doubled
 * each time that was a mistake.
 */
const DECAY = 0.005;
const FIRST_PATIENCE = 20;
const LONGEST_PATIENCE = 600;

/**
 * When fewer than this part of the pictures that came are shown, some come too late for this
 * browser, perhaps. A larger reserve must bring so much more within so many steps, or it is taken
 * back and not tried again for so long (ms).
 */
const SMOOTH_SHARE = 0.85;
const SMOOTH_GAIN = 0.05;
const SMOOTH_STEPS = 3;
const SMOOTH_AGAIN = 60000;

export class LiveEdge {
  /** @param {Reserve} limits */
  constructor(limits) {
    this.limits = limits;
    /** Seconds between the arrival of a frame and its moment, for all but the latest. */
    this.reserve = limits.start;
    /**
     * Arrival (ms) and distance (frame's time minus arrival, s) of recent frames.
     * @type {{at: number, distance: number}[]}
     */
    this.samples = [];
    /** Time of the newest frame, seconds. */
    this.newest = -Infinity;
    this.arrivedAt = 0;
    this.frozenAt = -Infinity;
    /** While frames rush in: when that is over, ms; 0 otherwise. */
    this.settlesAt = 0;
    this.rate = 1;
    /**
     * The last correction: when it began and ended (ms), where the clock was at its begin (s), its
     * direction.
     */
    this.bend = { begun: 0, ended: -Infinity, clock: 0, direction: 0 };
    this.tolerance = TOLERANCE;
    this.disobeyed = 0;
    this.disobeyedAt = 0;
    this.jumpedAt = -Infinity;
    this.jumpInterval = 0;
    this.stalledAt = -Infinity;
    this.easedAt = 0;
    this.patience = FIRST_PATIENCE;
    this.shrunk = false;
    /**
     * A larger reserve that is being tried: what share was shown before.
     * @type {{share: number, reserve: number, steps: number} | null}
     */
    this.smoothing = null;
    this.smoothAgainAt = 0;
  }

  /** Whether this browser's clock obeys the rate. */
  get obeys() {
    return this.disobeyed < TRIALS;
  }

  /** A track begins or is replayed. @param {number} now ms */
  begin(now) {
    this.settlesAt = now + BACKLOG_REST;
  }

  /** A frame has arrived. @param {number} timestamp seconds @param {number} now ms */
  arrive(timestamp, now) {
    const silence = now - this.arrivedAt;
    const rushing = (timestamp - this.newest) * 1000 > 2 * silence;
    if (silence > FREEZE && this.samples.length > 0 && now - this.frozenAt > WINDOW) {
      this.frozenAt = now;
      this.settlesAt = now + BACKLOG_REST;
    } else if (this.settlesAt > 0 && (rushing || timestamp <= this.newest)) {
      this.settlesAt = now + BACKLOG_REST;
    }
    this.newest = Math.max(this.newest, timestamp);
    this.arrivedAt = now;
    if (now < this.settlesAt) return;
    this.samples.push({ at: now, distance: timestamp - now / 1000 });
    const old = now - WINDOW;
    while (this.samples[0].at < old || this.samples.length > MOST_SAMPLES) this.samples.shift();
  }

  /** @param {number} now ms @returns {number} seconds at which the clock should stand */
  goal(now) {
    if (this.samples.length === 0) return this.newest - FIRST_GUESS;
    const distances = this.samples.map((sample) => sample.distance).sort((a, b) => a - b);
    const late = distances[Math.floor(distances.length * LATE_SHARE)];
    return now / 1000 + late - this.reserve;
  }

  /**
   * What to do with the clock.
   * @param {number} clock seconds
   * @param {number} now ms
   * @param {number} key seconds: the newest keyframe. What lies between it and a place to jump to
   *   must be decoded for the jump
   * @returns {{jump: number} | {rate: number}} a time to jump to, or the rate to run at
   */
  steer(clock, now, key) {
    this.ease(now);
    if (now < this.settlesAt || (this.settlesAt === 0 && now - this.arrivedAt > FREEZE))
      return { rate: this.straight(now) };
    if (this.settlesAt > 0) {
      this.settlesAt = 0;
      this.jumpedAt = -Infinity;
      this.jumpInterval = 0;
    }
    const error = this.goal(now) - clock; // above 0: the clock is behind
    const farthest = this.obeys ? JUMP_ERROR : JUMP_ERROR_ALONE;
    const interval = Math.max(this.jumpInterval, this.obeys ? JUMP_INTERVAL : JUMP_INTERVAL_ALONE);
    const cheap = key > clock || error < 0 || error > FAR_BEHIND || !this.obeys;
    if (Math.abs(error) > farthest && cheap && now - this.jumpedAt > interval) {
      this.jumpInterval =
        now - this.jumpedAt < interval * JUMP_IN_VAIN
          ? Math.min(LONGEST_JUMP_INTERVAL, interval * 2)
          : 0;
      return this.jump(now);
    }
    if (!this.obeys && now - this.disobeyedAt > OBEY_AGAIN) this.disobeyed = 0;
    return { rate: this.obeys ? this.correct(error, clock, now) : this.straight(now) };
  }

  /** A jump to the live edge. @param {number} now ms @returns {{jump: number}} */
  jump(now) {
    this.jumpedAt = now;
    this.straight(now);
    return { jump: Math.min(this.goal(now), this.newest) };
  }

  /**
   * The rate for an error: kept until the error is gone, or it would flutter at the edge of the
   * tolerance.
   * @param {number} error seconds
   * @param {number} clock seconds
   * @param {number} now ms
   * @returns {number}
   */
  correct(error, clock, now) {
    const { bend, limits } = this;
    const wish = Math.min(
      limits.fastest,
      Math.max(limits.slowest, Math.round((1 + GAIN * error) / RATE_STEP) * RATE_STEP),
    );
    if (this.rate === 1) {
      const direction = Math.sign(error);
      if (Math.abs(error) < this.tolerance || wish === 1) return 1;
      const inVain = now - bend.ended < IN_VAIN && direction === bend.direction;
      this.tolerance = inVain
        ? Math.min(WIDEST, this.tolerance * WIDER)
        : Math.max(TOLERANCE, this.tolerance * NARROWER);
      this.bend = { begun: now, ended: now, clock, direction };
      this.rate = wish;
    } else if (error * (this.rate - 1) <= 0) {
      this.disobeyed = 0;
      return this.straight(now);
    } else {
      if (now - bend.begun > RATE_TRIAL) this.judgeRate(clock, now);
      const ratio = (wish - 1) / (this.rate - 1);
      if (ratio > RATE_DIFFERS || (this.rate > RATE_DIFFERS && ratio < 1 / RATE_DIFFERS))
        this.rate = wish;
    }
    return this.rate;
  }

  /** Has the rate moved the clock? @param {number} clock seconds @param {number} now ms */
  judgeRate(clock, now) {
    const seconds = (now - this.bend.begun) / 1000;
    const effect = (clock - this.bend.clock - seconds) / (seconds * (this.rate - 1));
    this.disobeyed = effect < RATE_EFFECT ? this.disobeyed + 1 : 0;
    this.disobeyedAt = now;
    this.bend = { ...this.bend, begun: now, clock };
  }

  /** Back to the natural rate. @param {number} now ms @returns {number} */
  straight(now) {
    if (this.rate !== 1) this.bend.ended = now;
    this.rate = 1;
    return 1;
  }

  /** The element ran dry. @param {number} now ms @returns {boolean} whether it is a new stall */
  stall(now) {
    const since = now - this.stalledAt;
    this.stalledAt = now;
    if (since < STALL_SAME) return false;
    this.reserve = Math.min(
      this.limits.most,
      this.reserve + this.limits.step * (since < STALL_AGAIN ? 2 : 1),
    );
    if (this.shrunk) this.patience = Math.min(LONGEST_PATIENCE, this.patience * 2);
    this.shrunk = false;
    return true;
  }

  /**
   * What share (0 to 1) of the pictures that came in the last moments was shown.
   * @param {number} share
   * @param {number} now ms
   */
  shown(share, now) {
    const { smoothing } = this;
    if (smoothing && share >= smoothing.share + SMOOTH_GAIN) this.smoothing = null; // it has helped
    if (share >= SMOOTH_SHARE || now < this.smoothAgainAt) return;
    if (smoothing && smoothing.steps >= SMOOTH_STEPS && share < smoothing.share + SMOOTH_GAIN) {
      this.reserve = Math.min(this.reserve, smoothing.reserve);
      this.smoothing = null;
      this.smoothAgainAt = now + SMOOTH_AGAIN;
      return;
    }
    if (!this.smoothing) this.smoothing = { share, reserve: this.reserve, steps: 0 };
    this.smoothing.steps += 1;
    this.stalledAt = now;
    this.reserve = Math.min(this.limits.most, this.reserve + this.limits.step);
  }

  /** @param {number} now ms */
  ease(now) {
    const seconds = Math.min(1, (now - this.easedAt) / 1000);
    this.easedAt = now;
    if (now - this.stalledAt < this.patience * 1000 || this.reserve <= this.limits.start) return;
    this.shrunk = true;
    this.reserve = Math.max(this.limits.start, this.reserve - DECAY * seconds);
  }
}

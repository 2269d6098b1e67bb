// Where the clock of a live media element should stand, and how to get it there. No media element in here: numbers in, a decision out.
//
// Every frame says how far its time is from the moment of its arrival. Were the network perfect, this distance would be the same for all;
// jitter makes some frames late. The clock should run just so far behind the arrivals that only the latest few miss their moment, plus
// what this browser needs to decode without stalling: the reserve, which grows with every stall and shrinks again in good times.

/** What is kept between a frame's arrival and its moment, in seconds: to begin with, at most, and what a stall adds; and the highest
 *  playbackRate with which to catch up. @typedef {{start: number, most: number, step: number, fastest: number}} Reserve */

/** One frame at 60 Hz to decode and draw; a frame that comes too late is shown all the same (durations.js), so less is no stall.
 *  @type {Reserve} */
export const VIDEO_RESERVE = { start: 0.016, most: 0.4, step: 0.015, fastest: 1.5 };

/** Chrome's audio renderer holds 200 ms back by itself. @type {Reserve} */
export const AUDIO_RESERVE = { start: 0.2, most: 0.8, step: 0.05, fastest: 1.1 };

/** Frames that may be late, and milliseconds over which they are counted. */
const LATE_SHARE = 0.1;
const WINDOW = 4000;
const MOST_SAMPLES = 400;

/** A replay from the last keyframe comes at once: its frames (within so many ms of a new track) say nothing of the network. */
const REPLAY = 150;

/** No frame for so long (ms) is a paused camera: the clock may run out by itself. */
const PAUSE = 1000;

/** Seconds between arrival and moment as long as nothing is known yet. */
const FIRST_GUESS = 0.05;

/** playbackRate: the lowest, how much per second of error, smallest step, error (s) left alone. Pictures alone may hurry, nobody hears it. */
const SLOWEST = 0.9;
const GAIN = 1;
const RATE_STEP = 0.01;
const TOLERANCE = 0.008;

/** Milliseconds between two changes of the rate. */
const RATE_INTERVAL = 250;

/** A changed rate that has not taken this part of the error away after so long (ms) does nothing in this browser (WebKitGTK): it jumps
 *  instead. Errors below AT_LEAST (s) prove nothing. */
const RATE_TRIAL = 4000;
const RATE_EFFECT = 0.2;
const AT_LEAST = 0.1;

/** Too far off for the rate, in seconds, and milliseconds between two jumps. Without a rate that works, sooner but rarer. */
const JUMP_ERROR = 0.5;
const JUMP_INTERVAL = 2000;
const JUMP_ERROR_ALONE = 0.25;
const JUMP_INTERVAL_ALONE = 3000;

/** A jump that is needed again within so many intervals was in vain: the next interval is twice as long, up to this (ms). */
const JUMP_IN_VAIN = 4;
const LONGEST_JUMP_INTERVAL = 60000;

/** Milliseconds: stalls this near to one another are one; one this soon after the last adds twice as much, so that a browser that needs
 *  300 ms gets there in a moment. */
const STALL_SAME = 300;
const STALL_AGAIN = 3000;

/** The reserve shrinks by so much (seconds a second) after a time without stalls (seconds), doubled each time that was a mistake. */
const DECAY = 0.005;
const FIRST_PATIENCE = 20;
const LONGEST_PATIENCE = 600;

export class LiveEdge {
  /** @param {Reserve} reserve */
  constructor(reserve) {
    this.limits = reserve;
    /** Seconds between the arrival of a frame and its moment, for all but the latest. */
    this.reserve = reserve.start;
    /** Arrival (ms) and distance (frame's time minus arrival, s) of recent frames. @type {{at: number, distance: number}[]} */
    this.samples = [];
    /** Time of the newest frame, seconds. */
    this.newest = 0;
    this.begunAt = 0;
    this.arrivedAt = 0;
    this.rate = 1;
    this.ratedAt = 0;
    this.bentAt = 0; // when the rate left 1, and the error then
    this.bentWith = 0;
    /** Whether this browser's clock obeys the rate. */
    this.obeys = true;
    this.jumpedAt = -Infinity;
    this.jumpInterval = 0;
    this.stalledAt = -Infinity;
    this.easedAt = 0;
    this.patience = FIRST_PATIENCE;
    this.shrunk = false;
  }

  /** A track begins or is replayed. @param {number} now ms */
  begin(now) {
    this.begunAt = now;
    this.samples = [];
  }

  /** A frame has arrived. @param {number} timestamp seconds @param {number} now ms */
  arrive(timestamp, now) {
    this.newest = timestamp;
    this.arrivedAt = now;
    if (now - this.begunAt < REPLAY) return;
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
   * @param {number} clock seconds @param {number} now ms
   * @returns {{jump: number} | {rate: number}} a time to jump to, or the rate to run at
   */
  steer(clock, now) {
    this.ease(now);
    if (now - this.arrivedAt > PAUSE) return { rate: 1 };
    const goal = this.goal(now);
    const error = goal - clock; // above 0: the clock is behind
    const farthest = this.obeys ? JUMP_ERROR : JUMP_ERROR_ALONE;
    const interval = Math.max(this.jumpInterval, this.obeys ? JUMP_INTERVAL : JUMP_INTERVAL_ALONE);
    if (Math.abs(error) > farthest && now - this.jumpedAt > interval) {
      this.jumpInterval = now - this.jumpedAt < interval * JUMP_IN_VAIN ? Math.min(LONGEST_JUMP_INTERVAL, interval * 2) : 0;
      return this.jump(goal, now);
    }
    if (!this.obeys) return { rate: 1 };
    if (now - this.ratedAt >= RATE_INTERVAL) this.setRate(error, now);
    return { rate: this.rate };
  }

  /** A jump that has to be: over a hole. @param {number} goal seconds @param {number} now ms @returns {{jump: number}} */
  jump(goal, now) {
    this.jumpedAt = now;
    this.rate = 1;
    return { jump: goal };
  }

  /** @param {number} error seconds @param {number} now ms */
  setRate(error, now) {
    this.ratedAt = now;
    // Once it runs faster or slower it does so until the error is gone, or the rate would flutter at the edge of the tolerance.
    const settled = this.rate === 1 ? Math.abs(error) < TOLERANCE : error * (this.rate - 1) <= 0;
    const wish = settled ? 1 : Math.min(this.limits.fastest, Math.max(SLOWEST, 1 + GAIN * error));
    if (this.rate === 1) {
      this.bentAt = now;
      this.bentWith = error;
    } else if (now - this.bentAt > RATE_TRIAL) {
      if (Math.abs(this.bentWith) > AT_LEAST) this.obeys = Math.abs(error) < Math.abs(this.bentWith) * (1 - RATE_EFFECT);
      this.bentAt = now;
      this.bentWith = error;
    }
    this.rate = Math.round(wish / RATE_STEP) * RATE_STEP;
  }

  /** The element ran dry. @param {number} now ms @returns {boolean} whether it is a new stall */
  stall(now) {
    const since = now - this.stalledAt;
    this.stalledAt = now;
    if (since < STALL_SAME) return false;
    this.reserve = Math.min(this.limits.most, this.reserve + this.limits.step * (since < STALL_AGAIN ? 2 : 1));
    if (this.shrunk) this.patience = Math.min(LONGEST_PATIENCE, this.patience * 2);
    this.shrunk = false;
    return true;
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

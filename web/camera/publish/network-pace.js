// How much a camera sends through a network that may not carry it: when to leave pictures out, when
// to send less, when to try more again.
//
//   const uplink = new Uplink();
//   uplink.asked(now);                          // a ping was sent
//   // it was answered; way: ms from here to the relay by the relay's clock
//   uplink.answered(asked, way, now);
//   // four times a second: uplink.step, .held or .silenced has changed
//   if (uplink.look({waiting, drops}, now)) ...
//
// The witness is the ping. It goes the way of the pictures, through the same queues of browser,
// system and network, so the time that it takes is the time that a picture would take now, also
// when the network holds everything up and this browser has nothing waiting. And it goes on while
// no picture is sent, so it tells when the queues are empty. Only the way there counts: by the
// relay's clock, because what the phone downloads meanwhile makes only the way back longer. What is
// normal is the shortest way of the last minute.
//
// Two things are decided. A hold is for now: as long as the network is behind, nothing more is put
// into its queues. A step is for longer: fewer bytes per second first, then smaller pictures, then
// fewer, and back in the reverse order after a quiet time, which doubles each time the same step up
// does not hold.
//
// No clock and no page in here: all times are given, in ms of one clock.

/**
 * What is sent: quality, the share of the full bit rate for the picture's size; scale, of its
 * sides; fps, pictures per second at most.
 * @typedef {{quality: number, scale: number, fps: number}} Step
 */

/**
 * Each has about two thirds of the bytes of the one before; the last one has a thirtieth of the
 * first.
 * @type {Step[]}
 */
export const STEPS = [
  { quality: 1, scale: 1, fps: Infinity },
  { quality: 0.65, scale: 1, fps: Infinity },
  { quality: 0.42, scale: 1, fps: Infinity },
  { quality: 0.27, scale: 1, fps: Infinity },
  { quality: 0.27, scale: 0.75, fps: Infinity },
  { quality: 0.27, scale: 0.5, fps: Infinity },
  { quality: 0.18, scale: 0.5, fps: 15 },
  { quality: 0.12, scale: 0.5, fps: 10 },
  { quality: 0.08, scale: 0.5, fps: 5 },
];

/**
 * Milliseconds above the normal way from which on the network is late: more than the jitter of a
 * good Wi-Fi.
 */
const LATE = 200;

/**
 * Milliseconds for which it has to be late without a break before less is sent, and without being
 * late that make the break.
 */
const GOES_ON = 1000;
const BREAK = 600;

/**
 * Milliseconds after a step in which no other one is taken down: what was sent before it has to get
 * through first.
 */
const SETTLES = 2000;

/**
 * Milliseconds above the normal way from which on nothing more is sent, and below which it goes on;
 * and, for sound, which is small, those from which on that is not sent either.
 */
const HOLD = 600;
const RELEASE = 120;
const SILENCE = 2000;

/**
 * Milliseconds without trouble before a step up; doubled up to the limit for a step that had to be
 * taken back within its trial.
 */
const QUIET = 10000;
const LONGEST_QUIET = 120000;
const TRIAL = 10000;

/** Milliseconds of each half of the window in which the shortest way is looked for. */
const HALF_WINDOW = 30000;

/**
 * Milliseconds between two looks above which the page itself stood still: what it has not read yet
 * is not the network's fault.
 */
const STOOD_STILL = 1000;

/** Pings without an answer that are remembered. More of them say nothing new: the oldest counts. */
const MOST_ASKED = 32;

export class Uplink {
  constructor() {
    /** Index into STEPS. */
    this.index = 0;
    this.steppedAt = -Infinity;
    /** When the last step was taken, if it was one up; else -Infinity. */
    this.raisedAt = -Infinity;
    /**
     * The step that did not hold lately, -1 for none, and the quiet time before it is tried again.
     */
    this.failed = -1;
    this.quiet = QUIET;
    /** No pictures now. */
    this.held = false;
    /** No sound either. */
    this.silenced = false;
    /** When the pings were sent that have not been answered, the oldest first. @type {number[]} */
    this.asks = [];
    /**
     * Of the last answer: how long the ping was under way, and how long the answer was, with what
     * is normal of both ways.
     */
    this.way = 0;
    this.back = HOLD;
    /** The shortest ways of the present half of the window and of the one before. */
    this.least = Infinity;
    this.leastBefore = Infinity;
    this.halfBegan = -Infinity;
    this.waiting = 0;
    this.drops = -1;
    this.lookedAt = -Infinity;
    this.lateSince = 0;
    this.lateAt = -Infinity;
  }

  /**
   * Another connection: its ways say nothing about the old one's, but what the network carries is
   * what it was.
   */
  restart() {
    this.held = this.silenced = false;
    this.asks = [];
    this.way = 0;
    this.back = HOLD;
    this.least = this.leastBefore = Infinity;
    this.halfBegan = -Infinity;
    this.waiting = 0;
    this.drops = -1;
    this.lookedAt = -Infinity;
    this.lateSince = 0;
    this.lateAt = -Infinity;
  }

  /** @returns {Step} */
  get step() {
    return STEPS[this.index];
  }

  /** Whether less is sent than a good network would get. */
  get weak() {
    return this.index > 0 || this.held;
  }

  /** @param {number} now */
  asked(now) {
    this.asks.push(now);
    if (this.asks.length > MOST_ASKED) this.asks.splice(1, 1);
  }

  /**
   * @param {number} asked when the ping was sent
   * @param {number} way ms from here to the relay, give or take a constant
   * @param {number} now
   */
  answered(asked, way, now) {
    while (this.asks.length > 0 && this.asks[0] <= asked) this.asks.shift();
    if (now - this.halfBegan > HALF_WINDOW) {
      this.leastBefore = this.least;
      this.least = way;
      this.halfBegan = now;
    }
    this.least = Math.min(this.least, way);
    this.way = way;
    this.back = now - asked - this._excess();
  }

  /** How far behind the network is, ms. @param {number} now */
  behind(now) {
    // A ping without an answer has taken at least as long as it has been out, beyond what the last
    // answer needed to come back.
    const out = this.asks.length > 0 ? now - this.asks[0] - this.back : 0;
    return Math.max(this._excess(), out, 0);
  }

  /** By how much the last ping's way was longer than normal, ms. */
  _excess() {
    const least = Math.min(this.least, this.leastBefore);
    return least === Infinity ? 0 : this.way - least;
  }

  /**
   * @param {{waiting: number, drops: number} | null} sent waiting: ms that the bytes in this
   *   browser need at the present bit rate; drops:
   *     pictures left out because of the network so far; null while nothing is to be sent
   * @param {number} now
   * @returns {boolean} whether something has changed
   */
  look(sent, now) {
    const stood = now - this.lookedAt > STOOD_STILL;
    const passed = now - this.lookedAt;
    this.lookedAt = now;
    if (!sent || stood) {
      // Such a time proves nothing.
      if (this.steppedAt > -Infinity && passed < Infinity) this.steppedAt += passed;
      this.lateSince = 0;
      this.drops = sent ? sent.drops : -1;
      return sent ? false : this._let();
    }
    // A keyframe waits for a moment in this browser although nothing is slow: it counts if it waits
    // still.
    const waiting = Math.min(this.waiting, sent.waiting);
    this.waiting = sent.waiting;
    const dropped = this.drops >= 0 && sent.drops > this.drops && !this.held;
    this.drops = sent.drops;
    const behind = Math.max(this.behind(now), waiting);
    const { index, held, silenced } = this;
    this.silenced = behind > (silenced ? RELEASE : SILENCE);
    if (!held && behind > HOLD) {
      this.held = true;
      this._down(2, now);
    } else if (held) {
      this.held = behind > RELEASE;
      this.steppedAt = now; // what was sent before the step has to get through first
      this.lateSince = 0;
    } else this._judge(behind > LATE || dropped, now);
    return index !== this.index || held !== this.held || silenced !== this.silenced;
  }

  /** @returns {boolean} whether something was held */
  _let() {
    const was = this.held || this.silenced;
    this.held = this.silenced = false;
    return was;
  }

  /** @param {boolean} late @param {number} now */
  _judge(late, now) {
    if (late) {
      this.lateAt = now;
      this.lateSince = this.lateSince || now;
    } else if (now - this.lateAt > BREAK) this.lateSince = 0;
    const goesOn = this.lateSince > 0 && now - this.lateSince >= GOES_ON;
    // It holds this time.
    if (this.index <= this.failed && now - this.raisedAt >= TRIAL && this.raisedAt > -Infinity)
      this.failed = -1;
    const quiet = this.index - 1 <= this.failed ? this.quiet : QUIET;
    if (goesOn && now - this.steppedAt >= SETTLES) this._down(1, now);
    else if (this.index > 0 && now - Math.max(this.lateAt, this.steppedAt) >= quiet) this._up(now);
  }

  /** @param {number} steps @param {number} now */
  _down(steps, now) {
    const tried = now - this.raisedAt < TRIAL;
    if (tried) {
      this.quiet = Math.min(LONGEST_QUIET, this.index === this.failed ? this.quiet * 2 : QUIET * 2);
      this.failed = this.index;
    }
    this.raisedAt = -Infinity;
    this.index = Math.min(STEPS.length - 1, this.index + (tried ? 1 : steps));
    this.steppedAt = now;
  }

  /** @param {number} now */
  _up(now) {
    this.raisedAt = this.steppedAt = now;
    this.index -= 1;
  }
}

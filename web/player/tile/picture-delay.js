// How old a tile's pictures are: by the relay's clock, from the lens to the screen, and how much of
// that each part of the way takes.

import { TIME_ORIGIN } from "../../shared/time-origin.js";
import { median } from "../../shared/median.js";

/** The relay's last `pong` (docs/protocol.md).
 *  @typedef {{encode?: number, uplink?: number, relay?: number, drops?: number, idle?: number,
 *            pace?: number, level?: number}} Pong */

/** What was measured is true for so long (ms), and of a slow lens for so many of its intervals. */
const FRESH = 1500;
const FRESH_INTERVALS = 2;

/** Delays kept for a median: 60 pictures a second between two looks, and some more. */
const MOST_DELAYS = 64;

/** A picture that takes so long (ms) to decode waits for this device, and not for the network. */
const SLOW_DECODING = 500;

export class PictureDelay {
  constructor() {
    /** Of the picture seen last: when it was filmed, ms since the epoch, 0 while unknown; and its
     *  time (µs of the relay's clock) and moment (ms of performance.now()) while the clocks are not
     *  known. */
    this.filmed = 0;
    /** @type {{timestamp: number, moment: number} | null} */
    this.undated = null;
    /** µs by which the relay's clock is ahead of the time since the epoch; null while unknown.
     *  @type {number | null} */
    this.clockOffset = null;
    /** @type {Pong} */
    this.way = {};
    /** Delays of the pictures seen since the last look, ms. @type {number[]} */
    this.delays = [];
    /** What the looks found, and when (performance.now()); ms.
     *  @type {{delay: number | null, at: number}} */
    this.seen = { delay: null, at: 0 };
    /** @type {{arrival: number | null, decode: number | null, at: number}} */
    this.come = { arrival: null, decode: null, at: 0 };
  }

  /** @param {number | null} offset see clockOffset @param {Pong | null} way */
  clock(offset, way) {
    this.clockOffset = offset;
    if (offset !== null && this.undated) this._date(this.undated.timestamp, this.undated.moment);
    this.way = way || {};
  }

  /** A picture is on the screen.
   *  @param {number} timestamp µs of the relay's clock
   *  @param {number} moment ms of performance.now() */
  glass(timestamp, moment) {
    this._date(timestamp, moment);
    const delay = this.ageAt(timestamp, moment);
    if (delay === null || delay <= 0) return; // the clocks are not known well enough yet
    this.delays.push(delay);
    if (this.delays.length > MOST_DELAYS) this.delays.shift();
  }

  /** Pictures have come.
   *  @param {number | null} arrival ms from capture to here
   *  @param {number | null} decode ms from here to the decoder's picture @param {number} now ms */
  arrive(arrival, decode, now) {
    this.come = { arrival, decode, at: now };
  }

  /** The picture that came last was not looked at here. @param {number} arrival see arrive */
  unseen(arrival) {
    this.filmed = Date.now() - arrival;
  }

  /** How old (ms) a picture of this time (µs of the relay's clock) is at this moment (ms of
   *  performance.now()).
   *  @param {number} timestamp @param {number} moment @returns {number | null} */
  ageAt(timestamp, moment) {
    if (this.clockOffset === null) return null;
    return TIME_ORIGIN + moment + (this.clockOffset - timestamp) / 1000;
  }

  /** @param {number} now ms @returns {number | null | undefined} what the delay is now; undefined:
   *  nothing new is known; null: it is old */
  look(now) {
    const delay = median(this.delays);
    this.delays = [];
    if (delay !== null) {
      this.seen = { delay, at: now };
      return delay;
    }
    if (this.delayAt(now) !== null || this.seen.delay === null) return undefined;
    this.seen = { delay: null, at: 0 };
    return null;
  }

  /** @param {number} now ms
   *  @returns {number | null} ms from the lens to the screen, null where it is old or was never
   *  known */
  delayAt(now) {
    return now - this.seen.at < this._freshFor ? this.seen.delay : null;
  }

  /** ms from one picture of the camera to the next, lately; null while that is not known.
   *  @returns {number | null} */
  get pace() {
    return this.way.pace === undefined ? null : this.way.pace / 1000;
  }

  get _freshFor() {
    return Math.max(FRESH, FRESH_INTERVALS * (this.pace || 0));
  }

  /** Whether pictures wait for this device, and not for the network. @param {number} now ms */
  waitsForDevice(now) {
    const { decode, at } = this.come;
    return decode !== null && decode > SLOW_DECODING && now - at < this._freshFor;
  }

  /** When the picture that is seen was filmed, ms since the epoch; while the clocks are not known,
   *  when it was shown. @returns {number} */
  get shownTime() {
    const { undated, filmed } = this;
    return undated ? Date.now() - (performance.now() - undated.moment) : filmed || Date.now();
  }

  /** @param {boolean} whole decoding and showing are one for this engine @param {number} now ms
   *  @returns {import("./delay-details.js").Parts} */
  partsAt(whole, now) {
    const delay = this.delayAt(now);
    const fresh = now - this.come.at < this._freshFor;
    const arrival = fresh ? this.come.arrival : null;
    const decoding = fresh ? this.come.decode : null;
    const known = [this.way.encode, this.way.uplink, this.way.relay];
    const [encode, uplink, relay] = known.map((part) => (part === undefined ? null : part / 1000));
    const atRelay = uplink === null || relay === null ? null : (encode || 0) + uplink + relay;
    // These are medians of different moments: a part that is next to nothing may come out below it.
    const downlink = arrival === null || atRelay === null ? null : Math.max(0, arrival - atRelay);
    const rest = delay === null || arrival === null ? null : Math.max(0, delay - arrival);
    if (whole) return { encode, uplink, relay, downlink, decode: rest, screen: null };
    const screen = rest === null || decoding === null ? null : Math.max(0, rest - decoding);
    return { encode, uplink, relay, downlink, decode: decoding, screen };
  }

  /** The picture that is seen last is this one. @param {number} timestamp @param {number} moment */
  _date(timestamp, moment) {
    const age = this.ageAt(timestamp, moment);
    this.undated = age === null ? { timestamp, moment } : null;
    if (age === null) return;
    this.filmed = Date.now() - Math.max(0, age + performance.now() - moment);
  }
}

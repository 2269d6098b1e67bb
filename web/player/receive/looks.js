// What has happened since the last look, for the page.

import { median } from "../../shared/median.js";

/** received: frame messages of the video; the next three as in FramesDecoder; arrival: ms from
 *  capture to here, decode: ms from here to the decoder's picture, medians since the last look, or
 *  null.
 *  @typedef {{received: number, fed: number, shown: number, dropped: number,
 *            arrival: number | null, decode: number | null}} Look */

/** Values kept for a median: 60 pictures a second between two looks, and some more. */
const MOST_VALUES = 64;

export class Looks {
  constructor() {
    this.received = 0;
    this.told = "";
    /** Since the last look, ms. @type {number[]} */
    this.arrivals = [];
    /** @type {number[]} */
    this.decodings = [];
  }

  /** A frame has come. */
  receive() {
    this.received += 1;
  }

  /** @param {number} ms from its capture to here */
  arrive(ms) {
    keep(this.arrivals, ms);
  }

  /** @param {number} ms from here to the decoder's picture */
  decode(ms) {
    keep(this.decodings, ms);
  }

  /** @param {{fed: number, shown: number, dropped: number}} counts
   *  @returns {Look | null} null: nothing is new */
  take({ fed, shown, dropped }) {
    const stats = { received: this.received, fed, shown, dropped };
    const news = JSON.stringify(stats);
    if (news === this.told) return null;
    this.told = news;
    const look = { ...stats, arrival: median(this.arrivals), decode: median(this.decodings) };
    this.arrivals = [];
    this.decodings = [];
    return look;
  }
}

/** @param {number[]} values @param {number} value */
function keep(values, value) {
  values.push(value);
  if (values.length > MOST_VALUES) values.shift();
}

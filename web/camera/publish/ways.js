// By what the pictures are filmed: the best way that this phone has, or the best one that all
// viewers play.
//
//   const ways = new Ways("");
//   ways.equip(choice);           // of encoder-trial.js
//   ways.choose()                 // what films from now on
//   ways.suit(["vp8", "opus"])    // what all viewers play; whether something else must film now
//   ways.failed()                 // what filmed has given up; whether there is another way

import { VIDEO_TYPES } from "../encode/media-recorder.js";
import { familyOf } from "../../shared/relay/codec-families.js";

/** What films the pictures: WebCodecs with this codec, or, where that is "", a recorder with one of
 *  these types. @typedef {{codec: string, types: string[]}} Way */

export class Ways {
  /** @param {string} mime the only type a recorder may record the picture as, or "" */
  constructor(mime) {
    this.mime = mime;
    /** What films now. @type {Way} */
    this.way = { codec: "", types: VIDEO_TYPES };
    /** Why it is not what was chosen, or "". */
    this.remark = "";
    /** What WebCodecs can film with, the one that does first. @type {string[]} */
    this.codecs = [];
    /** Those to try if a recorder gives nothing. @type {string[]} */
    this.spare = [];
    /** The families of codecs that all viewers play, as far as the relay has said that it matters.
     *  @type {string[] | null} */
    this.plays = null;
    /** Those that were tried for the viewers' sake and did not work. @type {Set<string>} */
    this.unfit = new Set();
  }

  /** @param {Pick<import("../encode/encoder-trial.js").Choice, "codecs" | "spare" | "remark">
   *         } choice */
  equip({ codecs, spare, remark }) {
    this.codecs = codecs;
    this.spare = spare;
    this.remark = remark;
  }

  /** Whether a recorder had better give up than go on when nothing comes. */
  get replaceable() {
    return this.spare.length > 0 || this.plays !== null;
  }

  /** @returns {Way} what films from now on */
  choose() {
    this.way = this._best(this.plays) || /** @type {Way} */ (this._best(null));
    return this.way;
  }

  /** Films so that all viewers play it, if that is possible.
   *  @param {string[] | null} plays families of codecs; null: as it is best here
   *  @returns {boolean} whether something else is to film now */
  suit(plays) {
    const best = this._best(plays);
    if (!best) return false;
    this.plays = plays;
    return best.codec !== this.way.codec || best.types.join() !== this.way.types.join();
  }

  /** What films has given up. What was there for the viewers' sake makes room for what films best
   *  here; a recorder takes the place of WebCodecs, and WebCodecs once the place of a recorder.
   *  @returns {boolean} whether there is another way */
  failed() {
    if (this.plays) {
      for (const name of [this.way.codec, ...this.way.types]) this.unfit.add(familyOf(name));
      this.plays = null;
    } else if (this.way.codec) {
      this.codecs = [];
      this.remark = "WebCodecs has failed on this phone.";
    } else if (this.spare.length > 0) {
      this.codecs = this.spare;
      this.spare = [];
      this.remark = "The browser's recorder has failed on this phone.";
    } else return false;
    return true;
  }

  /** The best way to film pictures that all viewers play.
   *  @param {string[] | null} plays families; null: any @returns {Way | null} */
  _best(plays) {
    const fits = (/** @type {string} */ name) => {
      const family = familyOf(name);
      return plays === null || (plays.includes(family) && !this.unfit.has(family));
    };
    const codec = this.codecs.find(fits);
    if (codec) return { codec, types: [] };
    const types = (this.mime ? [this.mime] : VIDEO_TYPES).filter(fits);
    if (plays === null || types.some(records)) return { codec: "", types };
    const spare = this.spare.find(fits);
    return spare ? { codec: spare, types: [] } : null;
  }
}

/** @param {string} type @returns {boolean} */
function records(type) {
  return typeof MediaRecorder !== "undefined" && MediaRecorder.isTypeSupported(type);
}

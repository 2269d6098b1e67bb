// What this phone's lens can turn: tells it in the relay's words, and has the lens obey what
// viewers wish.
//
//   const turning = new Turning({ aim: (place) => lens.aim(place), ontell(axes) {} });
//   turning.take(track);          // the lens has another track, or none for a while (null)
//   turning.turn(message);        // the relay's `orient`
//   turning.axes                  // for the relay's `turns` (docs/protocol.md)
//
// Browsers give pan and tilt in arc seconds, and the zoom in the lens's own units (W3C MediaStream
// Image Capture, "pan", "tilt", "zoom"). A viewer's wish outlives the track: the same lens comes
// back turned as it was.

/** @typedef {import("../../shared/types.js").Axis} Axis */
/** @typedef {import("../../shared/types.js").Way} Way */
/** @typedef {import("../../shared/types.js").Axes} Axes */
/** @typedef {import("../../shared/types.js").Place} Place */

/** @type {Way[]} */
const WAYS = ["pan", "tilt", "zoom"];

/** Arc seconds in a degree. */
const ARC_SECONDS = 3600;

/**
 * Milliseconds after which a track is looked at once more: some browsers know only then what it
 * can, or where a motor has come to rest.
 */
const SECOND_LOOK = 1000;

/** Parts of a degree on the wire: an arc second has 278 of them. */
const PRECISION = 1000000;

/**
 * Between what the relay believes that a lens turns: degrees, and factors (docs/protocol.md). It
 * would end the connection of one that says more.
 * @type {Record<Way, [number, number]>}
 */
const BOUNDS = { pan: [-360, 360], tilt: [-360, 360], zoom: [0.01, 1000] };

/** Places that are remembered: more lenses has no phone. */
const MOST_PLACES = 16;

/** @param {number} value */
const round = (value) => Math.round(value * PRECISION) / PRECISION;

/**
 * How many of the browser's units one of the wire's has. A webcam counts its zoom from 100 or so:
 * the widest is called 1 there.
 * @param {Way} way
 * @param {{min: number}} range
 */
function unit(way, { min }) {
  return way === "zoom" ? Math.max(1, min) : ARC_SECONDS;
}

export class Turning {
  /**
   * @param {{aim: (place: Place) => Promise<boolean>, ontell: (axes: Axes) => void}} handlers aim:
   *     turns the lens, says whether it took it; ontell: what can be turned, or where it stands, is
   *     other than before
   */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {Axes} */
    this.axes = {};
    /** @type {any} a MediaStreamTrack; not every browser's types know its zoom */
    this.track = null;
    /** By lens, where viewers want it to look. @type {Map<string, Place>} */
    this.places = new Map();
    /** A wish that came while there was no track. @type {Place | null} */
    this.waiting = null;
    this.aims = false;
    this.again = false;
    this.timer = 0;
  }

  /**
   * @param {MediaStreamTrack | null} track null while the lens rests or changes: what it could turn
   *   is kept until the next one
   */
  take(track) {
    clearTimeout(this.timer);
    this.track = track;
    if (!track) return;
    this._look();
    this._lookLater();
    if (this.waiting) this.turn(this.waiting);
    else if (this.places.has(this._lens())) this._aim();
    this.waiting = null;
  }

  /** @param {Place} wish degrees, and a factor; of what this lens has not, nothing is taken */
  turn(wish) {
    if (!this.track) {
      this.waiting = Object.assign(this.waiting || {}, wish);
      return;
    }
    const ranges = this._ranges();
    const lens = this._lens();
    const place = Object.assign({}, this.places.get(lens));
    for (const way of WAYS) {
      const range = ranges[way];
      const value = wish[way];
      if (!range || typeof value !== "number") continue;
      place[way] = Math.min(range.max, Math.max(range.min, value * unit(way, range)));
    }
    if (Object.keys(place).length === 0) return;
    this.places.delete(lens);
    this.places.set(lens, place);
    if (this.places.size > MOST_PLACES)
      this.places.delete(/** @type {string} */ (this.places.keys().next().value));
    this._aim();
  }

  /** One after the other: what is wished meanwhile is one wish, the newest. */
  async _aim() {
    if (this.aims) {
      this.again = true;
      return;
    }
    this.aims = true;
    do {
      this.again = false;
      const place = this.places.get(this._lens());
      if (place) await this.handlers.aim(place);
    } while (this.again);
    this.aims = false;
    this._look();
    this._lookLater();
  }

  _lookLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this._look(), SECOND_LOOK);
  }

  _look() {
    if (!this.track) return;
    const ranges = this._ranges();
    const settings = this.track.getSettings();
    /** @type {Axes} */
    const axes = {};
    for (const way of WAYS) {
      const range = ranges[way];
      if (!range) continue;
      const one = unit(way, range);
      const [least, most] = BOUNDS[way];
      /** @type {Axis} */
      const axis = {
        min: Math.max(least, round(range.min / one)),
        max: Math.min(most, round(range.max / one)),
      };
      if (!(axis.min < axis.max)) continue;
      const step = round(range.step / one);
      if (step > 0 && step <= axis.max - axis.min) axis.step = step;
      const now = round(settings[way] / one);
      if (now >= least && now <= most) axis.now = now;
      axes[way] = axis;
    }
    if (JSON.stringify(axes) === JSON.stringify(this.axes)) return;
    this.axes = axes;
    this.handlers.ontell(axes);
  }

  /**
   * @returns {Partial<Record<Way, {min: number, max: number, step: number}>>} what the track can,
   *   in the browser's units
   */
  _ranges() {
    const able = this.track.getCapabilities ? this.track.getCapabilities() : {};
    /** @type {any} */
    const ranges = {};
    for (const way of WAYS) {
      const range = able[way];
      if (range && range.min < range.max && (way !== "zoom" || range.min > 0)) ranges[way] = range;
    }
    return ranges;
  }

  _lens() {
    return (this.track && this.track.getSettings().deviceId) || "";
  }
}

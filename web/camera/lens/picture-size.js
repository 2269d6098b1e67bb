// The size and the rate that are asked of the camera: how much this phone can film, what it was
// found to be too slow for, and what a weak network takes of it.
//
//   const size = new PictureSize({});
//   await size.begin();
//   getUserMedia({ video: size.constraints })      // and where it fails, once more after:
//   size.failed("OverconstrainedError")            // whether there is another size to try
//   size.taken(track.getSettings());
//   track.applyConstraints(size.present)           // after fit() or lower()

/** @typedef {{width: number, height: number, fps: number}} Size */

/**
 * Sizes to ask for, best first, as `ideal`, so that a browser gives its nearest size instead of an
 * OverconstrainedError; the lower rungs are for cameras that fail to start at a higher one.
 * @type {Size[]}
 */
const LADDER = [
  { width: 1280, height: 720, fps: 30 },
  { width: 960, height: 540, fps: 30 },
  { width: 640, height: 480, fps: 30 },
  { width: 640, height: 480, fps: 15 },
];

/** The rung for a phone that is not known to be strong. */
const MODEST = 2;

/** Bits per second that 1280x720 needs, for asking the browser whether it encodes that smoothly. */
const STRONG_BITRATE = 2500000;

/**
 * Cores from which a software encoder is trusted with 1280x720@30: a browser calls that smooth on
 * almost any phone.
 */
const STRONG_CORES = 8;

/**
 * The same question in the two forms browsers know: the one about recorders, and the one about
 * calls, which use the same encoder.
 */
const QUESTIONS = [
  { type: "record", contentType: "video/webm;codecs=vp8" },
  { type: "webrtc", contentType: "video/VP8" },
];

/**
 * The rung to start from: 1280x720 where the browser says that it encodes it smoothly and has the
 * means to, else 640x480.
 * @returns {Promise<number>} an index into LADDER
 */
async function firstRung() {
  const { width, height, fps } = LADDER[0];
  for (const { type, contentType } of QUESTIONS) {
    const video = { contentType, width, height, framerate: fps, bitrate: STRONG_BITRATE };
    try {
      const info = await /** @type {any} */ (navigator).mediaCapabilities.encodingInfo({
        type,
        video,
      });
      const able = info.powerEfficient || (navigator.hardwareConcurrency || 1) >= STRONG_CORES;
      return info.supported && info.smooth && able ? 0 : MODEST;
    } catch (error) {
      // Chrome does not take "record", others not "webrtc", old ones neither
    }
  }
  return MODEST;
}

/** What the browser rejects a size with that another size may cure. */
const HOPEFUL = ["OverconstrainedError", "NotReadableError", "AbortError", "TypeError"];

export class PictureSize {
  /** @param {Partial<Size>} fixed instead of the ladder, for tests and measurements */
  constructor(fixed) {
    this.fixed = fixed;
    /** Which size of the ladder; one past it: any. @type {number | null} */
    this.rung = null;
    /** What a weak network takes: the share of the sides, and pictures per second at most. */
    this.scale = 1;
    this.most = Infinity;
    /** The longer and the shorter side of the full picture, pixels. */
    this.full = [640, 480];
  }

  /** Finds out where to start, unless that is known. */
  async begin() {
    if (this.rung === null) this.rung = await firstRung();
  }

  /** Whether the camera may have any size. */
  get any() {
    return this.rung !== null && this.rung >= LADDER.length;
  }

  /** Whether the network takes less than the full picture. */
  get reduced() {
    return this.scale < 1 || this.most < Infinity;
  }

  /** What a camera is asked for when it starts. */
  get constraints() {
    const { width, height, fps } = this._wished();
    return { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: fps } };
  }

  /** What the track that films is asked for now. The longer side is the width also while a phone is
   *  upright: so it was asked for first, and browsers turn it by themselves. */
  get present() {
    // Most encoders want even sizes.
    const [width, height] = this.full.map((side) => Math.round((side * this.scale) / 2) * 2);
    const rate = Math.min(this._wished().fps, this.most);
    const frameRate = { ideal: rate, max: rate };
    return { width: { ideal: width }, height: { ideal: height }, frameRate };
  }

  /** The camera does not start at this size.
   *  @param {string} name of the browser's error @returns {boolean} whether to try once more */
  failed(name) {
    if (!HOPEFUL.includes(name)) return false;
    if (this.any) {
      this.rung = null; // the next try starts from the top
      return false;
    }
    // A size the camera cannot do costs one rung; a camera that does not start is not worth five
    // waits.
    this.rung = name === "OverconstrainedError" ? (this.rung || 0) + 1 : LADDER.length;
    return true;
  }

  /** It films. @param {{width?: number, height?: number}} settings of its track */
  taken({ width = 640, height = 480 }) {
    this.full = [Math.max(width, height), Math.min(width, height)];
  }

  /** @param {number} scale share of the full picture's sides
   *  @param {number} most pictures per second @returns {boolean} whether that is another picture */
  fit(scale, most) {
    if (scale === this.scale && most === this.most) return false;
    this.scale = scale;
    this.most = most;
    return true;
  }

  /** Goes down one rung, for a phone that is too slow for this one.
   *  @returns {boolean} whether there was one */
  lower() {
    const fixed = Object.keys(this.fixed).length > 0;
    if (fixed || this.rung === null || this.rung + 1 >= LADDER.length) return false;
    this.rung += 1;
    const { width, height } = LADDER[this.rung];
    this.full = [width, height];
    return true;
  }

  /** @returns {Size} what is asked for at this rung */
  _wished() {
    return Object.assign({}, LADDER[Math.min(this.rung || 0, LADDER.length - 1)], this.fixed);
  }
}

// Looks after a lens and a microphone while they film: takes anew what gives nothing (watchdog.js
// says when), and has news of it for a while.
//
//   const care = new Care(lens, () => picturesShown(), () => {});
//   care.look(status, {muted, now});      // with every status of filming.js
//   care.still, care.news(now), care.count

import { Stillness, Watchdog, troubleOf } from "../lens/watchdog.js";

/** Milliseconds for which it is said what was done. */
const NEWS = 8000;

/**
 * Pictures per second that prove that the lens moves, whatever the preview shows; where they cannot
 * be counted, ms since the last byte.
 */
const FLOWING_RATE = 3;
const FLOWING_SILENCE = 1500;

const NEWS_WORDS = {
  ended: "The camera was lost and taken again.",
  muted: "The camera gave no picture and was started anew.",
  still: "The camera stood still and was started anew.",
  silent: "No picture came out of the encoder, so the camera was started anew.",
};

export class Care {
  /**
   * @param {import("../lens/lens.js").Lens} lens
   * @param {() => number | null} picturesShown by the preview so far, null where it cannot be told
   * @param {() => void} onstill `still` has changed
   */
  constructor(lens, picturesShown, onstill) {
    this.lens = lens;
    this.picturesShown = picturesShown;
    this.onstill = onstill;
    this.lensWatch = new Watchdog();
    this.soundWatch = new Watchdog();
    this.stillness = new Stillness();
    /** Nothing new comes out of the lens although it looks well. */
    this.still = false;
    /** How often an engine has begun afresh, as far as it was told. */
    this.restarts = { video: 0, audio: 0 };
    this.text = "";
    this.until = 0;
  }

  /** Filming begins, with engines that count from 0. */
  begin() {
    this.restarts = { video: 0, audio: 0 };
  }

  /** How often lens and microphone were taken anew. */
  get count() {
    return this.lensWatch.count + this.soundWatch.count;
  }

  /** What was done lately about something that stood still, or "". @param {number} now ms */
  news(now) {
    return now < this.until ? this.text : "";
  }

  /**
   * @param {import("../publish/filming.js").Status} status
   * @param {{muted: boolean, now: number}} facts muted: the system gives no pictures just now; now:
   *   ms of performance.now()
   */
  look(status, { muted, now }) {
    const filmed =
      status.state === "live" || status.state === "starting" || status.reason === "interrupted";
    const expected = filmed && document.visibilityState === "visible" && !status.held;
    this._lookAtPictures(status, expected, muted, now);
    this._lookAtSound(status, expected, now);
    this.restarts = status.restarts;
  }

  /**
   * @param {import("../publish/filming.js").Status} status
   * @param {boolean} expected
   * @param {boolean} muted
   * @param {number} now
   */
  _lookAtPictures({ silence, fps, restarts }, expected, muted, now) {
    const { lens } = this;
    if (restarts.video > this.restarts.video) this.stillness.pace.renewed(now);
    const flows = fps === null ? silence.video < FLOWING_SILENCE : fps >= FLOWING_RATE;
    const still =
      this.stillness.look(
        expected && lens.video && !muted ? this.picturesShown() : null,
        now,
        lens.video,
      ) && !flows;
    if (still !== this.still) {
      this.still = still;
      this.onstill();
    }
    const ended = lens.video !== null && lens.video.readyState === "ended";
    const trouble = troubleOf({
      ended,
      muted,
      silence: silence.video,
      still,
      patience: this.stillness.patience(lens.video),
    });
    if (this.lensWatch.look(expected ? trouble : null, now)) {
      this._tell(NEWS_WORDS[/** @type {"still"} */ (trouble)], now);
      this.stillness.pace.renewed(now);
      lens.again();
    } else if (restarts.video > this.restarts.video)
      this._tell("The encoder stood still and was started anew.", now);
  }

  /**
   * @param {import("../publish/filming.js").Status} status
   * @param {boolean} expected
   * @param {number} now
   */
  _lookAtSound({ silence, restarts }, expected, now) {
    const sound = this.lens.audio;
    const trouble = sound
      ? troubleOf({
          ended: sound.readyState === "ended",
          muted: sound.muted,
          silence: silence.audio,
          still: false,
        })
      : "";
    if (this.soundWatch.look(expected && sound ? trouble : null, now)) {
      this._tell("The microphone gave nothing and was started anew.", now);
      this.lens.renewSound();
    } else if (restarts.audio > this.restarts.audio)
      this._tell("The sound stood still and was started anew.", now);
  }

  /** @param {string} text @param {number} now */
  _tell(text, now) {
    this.text = text;
    this.until = now + NEWS;
  }
}

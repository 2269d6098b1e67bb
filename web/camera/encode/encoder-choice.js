// Which encoder films best here: asked once for the page, because the phone stays the same.

import { chooseEncoder } from "./encoder-trial.js";

/**
 * Tests changed lenses at most so often: somebody who plays with "Other lens" is not waited for.
 */
const MOST_TESTS = 3;

export class EncoderChoice {
  /**
   * @param {import("../lens/lens.js").Lens} lens
   * @param {HTMLVideoElement} preview that plays its picture
   * @param {URLSearchParams} query `?encoder=codecs`, `vp8`, `avc1`, `vp09` or `recorder`; `?mime=`
   *     is a recorder's; `?sound=recorder` asks for one for the sound
   * @param {(choice: import("./encoder-trial.js").Choice) => void} onchoice
   */
  constructor(lens, preview, query, onchoice) {
    this.lens = lens;
    this.preview = preview;
    this.forced = query.get("encoder") || (query.get("mime") ? "recorder" : "");
    this.recordsSound = query.get("sound") === "recorder";
    this.onchoice = onchoice;
    /** @type {Promise<import("./encoder-trial.js").Choice> | null} */
    this.asked = null;
  }

  /**
   * To be called while there is a picture.
   * @returns {Promise<import("./encoder-trial.js").Choice>} the same one every time
   */
  ask() {
    if (!this.asked) this.asked = this._test();
    return this.asked;
  }

  async _test() {
    for (let test = 1; ; test += 1) {
      const track = /** @type {MediaStreamTrack} */ (this.lens.video);
      const choice = await chooseEncoder(track, this.preview, this.forced);
      if (this.recordsSound) choice.sound = false;
      if (track === this.lens.video || !this.lens.video || test === MOST_TESTS) {
        this.onchoice(choice);
        return choice;
      }
    }
  }
}

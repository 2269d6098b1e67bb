// An engine that eats frames and shows nothing has failed, whatever it says; and so has a surface
// on which nothing is seen.

/** Frames go in and no picture comes out for so long (ms): the next engine's turn. A busy computer
 *  may need some seconds to decode all since the last keyframe, which is up to 8 s old in Firefox.
 *  */
const MUTE_ENGINE_AFTER = 5000;

/** Pictures are given to a surface and none is seen for so long (ms): the next surface's turn. */
const DARK_SURFACE_AFTER = 4000;

/** Milliseconds between two frames within which they count as one after the other. */
const FEEDING = 1000;

export class EngineWatch {
  constructor() {
    /** Frames the engine has taken, when that last grew, how many by the last picture, and since
     *  when it takes without giving. */
    this.fed = 0;
    this.fedAt = 0;
    this.fedAtPicture = 0;
    this.mouthfulAt = 0;
    this.darkAt = 0; // since when pictures go to a surface of which nothing was seen
  }

  /** The engine may take its time from now on.
   *  @param {number} fed frames so far @param {number} now */
  expect(fed, now) {
    this.fed = this.fedAtPicture = fed;
    this.mouthfulAt = this.darkAt = now;
  }

  /** There is a picture. More may have gone in by the next look, and each time: an engine whose
   *  pictures are counted only now and then is not mute. @param {number} fed @param {number} now */
  picture(fed, now) {
    this.fedAtPicture = fed;
    this.mouthfulAt = now;
  }

  /** @param {number} fed frames so far @param {boolean} excused nobody looks, or a tap is wanted
   *  @param {number} now ms @returns {boolean} whether it takes frames and gives no pictures */
  isMute(fed, excused, now) {
    if (fed !== this.fed) {
      this.fed = fed;
      this.fedAt = now;
    }
    const rests = fed === this.fedAtPicture || now - this.fedAt > FEEDING;
    if (rests || excused) this.mouthfulAt = now;
    return now - this.mouthfulAt > MUTE_ENGINE_AFTER;
  }

  /** @param {boolean} excused there is nothing to be seen, or it is seen @param {number} now ms
   *  @returns {boolean} whether its pictures do not reach the screen */
  isDark(excused, now) {
    if (excused) this.darkAt = now;
    return now - this.darkAt > DARK_SURFACE_AFTER;
  }
}

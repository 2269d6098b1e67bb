// What the track of a camera is asked for while it films: a size with a rate, and a place to look
// at. What is not asked for again may be forgotten, so both go together; Chromium wants them one
// after the other.

export class Constraints {
  constructor() {
    /**
     * Where it is turned to, in the browser's units.
     * @type {import("../../shared/types.js").Place | null}
     */
    this.place = null;
    /** Whether this browser takes a size and a place in one. */
    this.mixes = true;
  }

  /** @param {MediaStreamTrack} track
   *  @param {MediaTrackConstraints} size @returns {Promise<boolean>} whether it took them */
  async apply(track, size) {
    try {
      await this._apply(track, size);
      return true;
    } catch (error) {
      return false; // the next start of the camera asks for it
    }
  }

  /** Turns and zooms, and leaves the size.
   *  @param {MediaStreamTrack} track @returns {Promise<boolean>} whether it took it */
  async turn(track) {
    try {
      await this._turn(track);
      return true;
    } catch (error) {
      return false;
    }
  }

  /** @param {MediaStreamTrack} track @param {MediaTrackConstraints} size */
  async _apply(track, size) {
    const { place } = this;
    if (place && this.mixes) {
      try {
        await track.applyConstraints(
          /** @type {any} */ (Object.assign({ advanced: [place] }, size)),
        );
        return;
      } catch (error) {
        // then one after the other
      }
    }
    await track.applyConstraints(size);
    if (!place) return;
    await this._turn(track);
    this.mixes = false;
  }

  /** @param {MediaStreamTrack} track */
  async _turn(track) {
    await track.applyConstraints({ advanced: [/** @type {any} */ (this.place)] });
  }
}

// Why a camera films nothing just now, if it does not.

/**
 * @typedef {"viewers" | "unwatched" | "background" | "interrupted"} PauseReason as in
 *   docs/protocol.md
 */
/** The relay's `pause`.
 *  @typedef {{reason: "viewers" | "unwatched", by: string[], votes: number,
 *            watching: number}} Pause */

/** Milliseconds without a byte after which a hidden page counts as asleep. */
const ASLEEP = 1500;

/** Milliseconds without a track before it counts as an interruption: changing to the other lens
 *  takes up to a second on a phone. */
const CHANGE_GRACE = 1500;

export class Pauses {
  constructor() {
    /** What the relay asks for. @type {Pause | null} */
    this.asked = null;
    /** The page is hidden and gives nothing. */
    this.dozing = false;
    this.lostAt = -Infinity;
  }

  /** The relay asks for one. @param {any} message its `pause` */
  ask({ reason, by, votes, watching }) {
    const known = reason === "unwatched" ? reason : "viewers";
    this.asked = { reason: known, by: by || [], votes: votes || 0, watching: watching || 0 };
  }

  /** The relay asks for none any more; it asks again if it still wants one. */
  end() {
    this.asked = null;
  }

  /** There is no picture from now on: one of another lens needs a moment. @param {number} now ms */
  lost(now) {
    this.lostAt = now;
  }

  /** @param {boolean} hidden whether nobody sees the page
   *  @param {number | null} silence ms since the last byte of a picture; null: none is to come */
  look(hidden, silence) {
    if (!hidden) this.dozing = false;
    else if (silence !== null && silence > ASLEEP) this.dozing = true;
  }

  /** A byte has come. @returns {boolean} whether the page was asleep until now */
  wake() {
    const { dozing } = this;
    this.dozing = false;
    return dozing;
  }

  /**
   * @param {{video: MediaStreamTrack | null, muted: boolean}} tracks what the lens gives
   * @param {boolean} hidden whether nobody sees the page
   * @param {number} now ms
   * @returns {PauseReason | ""}
   */
  reason({ video, muted }, hidden, now) {
    if (this.asked) return this.asked.reason;
    const changing = !video && now - this.lostAt < CHANGE_GRACE;
    if (muted || (!video && !changing)) return hidden ? "background" : "interrupted";
    return this.dozing ? "background" : "";
  }
}

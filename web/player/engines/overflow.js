// When a player asks for a pause. No media element and no socket in here: numbers in, what to do
// out.
//
// A browser that takes less than what comes must lose something. First what waits for it is thrown
// away ("trim"); what follows is a fresh keyframe. If that does not help, the camera is asked to
// hold on ("pause", said again and again, as a vote lapses in the relay) until the browser has
// caught up ("resume"). A pause that does not help is no use to anybody: then all begins afresh
// ("restart").
//
// A vote touches everybody who watches, so there are long times between two of them, longer each
// time that it was in vain.

/**
 * Bytes and seconds of media, both, that wait for the browser and do not become less: it is behind.
 * The seconds alone may be a gap.
 */
const MOST_BYTES = 64 * 1024;
const MOST_SECONDS = 2;

/** Seconds that are buffered and not played: the clock does not run as it ought to. */
const MOST_AHEAD = 6;

/** Appends refused for lack of room, one after the other. */
const MOST_REFUSALS = 3;

/**
 * Milliseconds for which it must be so, the first time: a busy computer now and then takes what
 * comes late.
 */
const LASTING = 1000;

/**
 * Milliseconds that throwing away has to help, and within which the next trouble is the same one.
 */
const TRIM_TRIAL = 2000;
const SAME_TROUBLE = 10000;

/** Milliseconds between two votes: one lapses after 5 s (docs/protocol.md, "Pausing"). */
export const RENEWAL = 2000;

/**
 * Seconds that may wait, or be buffered and not played, when it has caught up; and for how long
 * (ms) that must hold.
 */
const FEW_SECONDS = 1;
const STEADY = 500;

/** A pause that has not helped for so long (ms) is given up. */
export const GIVE_UP = 30000;

/**
 * Milliseconds from the end of one pause to the next vote: at first, and at most. It doubles where
 * the last one was in vain, which it was when the next is needed within so many of these times.
 */
export const FIRST_REST = 10000;
const LONGEST_REST = 120000;
const IN_VAIN = 4;

/**
 * bytes, seconds: what waits for the browser; ahead: seconds that are buffered in front of a clock
 * that ought to move, otherwise 0; refused: appends refused one after the other; mayVote: somebody
 * looks, and the camera sends.
 * @typedef {{bytes: number, seconds: number, ahead: number, refused: number, mayVote: boolean}}
 *   Load
 */

/**
 * trim: throw away what waits; pause: cast the vote, or cast it again; resume: take it back;
 * restart: take it back, and begin afresh.
 * @typedef {"" | "trim" | "pause" | "resume" | "restart"} Measure
 */

export class Overflow {
  constructor() {
    /**
     * Why: "overflow" (it waits in front of the browser), "quota" (the browser has no room),
     * "ahead" (it is not played); "" for none.
     */
    this.reason = "";
    /** Whether the camera is being asked to pause; what comes meanwhile is not wanted. */
    this.voting = false;
    this.since = 0; // of the trouble, ms
    this.waited = { bytes: 0, seconds: 0 }; // at the last look
    this.trimmedAt = -Infinity;
    this.votedAt = 0; // last
    this.beganAt = 0; // the vote
    this.endedAt = -Infinity; // the last vote
    this.restartedAt = -Infinity;
    this.rest = FIRST_REST;
    this.calmSince = 0; // 0: not caught up
  }

  /**
   * To be called a few times a second.
   * @param {Load} load
   * @param {number} now ms
   * @returns {Measure} what to do now
   */
  look(load, now) {
    const measure = this.voting ? this.wait(load, now) : this.judge(load, now);
    this.waited = { bytes: load.bytes, seconds: load.seconds };
    return measure;
  }

  /** @param {Load} load @param {number} now ms @returns {Measure} */
  judge(load, now) {
    const reason = this.trouble(load);
    const taken =
      reason === "overflow" &&
      (load.bytes < this.waited.bytes || load.seconds < this.waited.seconds);
    if (reason !== this.reason || taken) this.since = now;
    this.reason = reason;
    if (reason === "" || now - this.trimmedAt < TRIM_TRIAL) return "";
    if (now - this.trimmedAt > SAME_TROUBLE) {
      if (now - this.since < LASTING) return "";
      this.trimmedAt = now;
      return "trim";
    }
    if (load.mayVote && now - this.endedAt >= this.rest) return this.begin(now);
    if (now - this.restartedAt > GIVE_UP && now - this.since > GIVE_UP)
      return this.end("restart", now);
    this.trimmedAt = now;
    return "trim";
  }

  /** @param {Load} load @returns {string} the reason for a pause, "" for none */
  trouble({ bytes, seconds, ahead, refused }) {
    if (refused >= MOST_REFUSALS) return "quota";
    if (bytes > MOST_BYTES && seconds > MOST_SECONDS) return "overflow";
    return ahead > MOST_AHEAD ? "ahead" : "";
  }

  /** @param {number} now ms @returns {Measure} */
  begin(now) {
    this.rest =
      now - this.endedAt < this.rest * IN_VAIN ? Math.min(LONGEST_REST, this.rest * 2) : FIRST_REST;
    this.voting = true;
    this.votedAt = this.beganAt = now;
    this.calmSince = 0;
    return "pause";
  }

  /** The camera has been asked. @param {Load} load @param {number} now ms @returns {Measure} */
  wait({ seconds, ahead, refused, mayVote }, now) {
    if (!mayVote) return this.end("resume", now);
    if (now - this.beganAt >= GIVE_UP) return this.end("restart", now);
    const calm = seconds < FEW_SECONDS && ahead < FEW_SECONDS && refused === 0;
    if (!calm) this.calmSince = 0;
    else if (this.calmSince === 0) this.calmSince = now;
    else if (now - this.calmSince >= STEADY) return this.end("resume", now);
    if (now - this.votedAt < RENEWAL) return "";
    this.votedAt = now;
    return "pause";
  }

  /** @param {"resume" | "restart"} measure @param {number} now ms @returns {Measure} */
  end(measure, now) {
    if (this.voting) this.endedAt = now;
    if (measure === "restart") this.restartedAt = now;
    this.voting = false;
    this.reason = "";
    this.since = this.trimmedAt = now;
    return measure;
  }
}

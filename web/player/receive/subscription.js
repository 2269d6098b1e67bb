// What a player takes of all that its camera sends, and what the relay was asked for
// (docs/protocol.md, `join` and `rest`). What nobody takes need not be sent, and for nobody a
// camera need not film.

/** What a player asks the relay for. @typedef {"all" | "sound" | "nothing"} Wish */

export class Subscription {
  /**
   * @param {string} name of the camera
   * @param {string[]} plays what this browser plays (plays.js)
   * @param {(message: object) => void} send to the relay
   */
  constructor(name, plays, send) {
    this.plays = plays;
    this.send = send;
    this.restPath = `/player/${name}?rest=1`;
    this.joinPath = `/player/${name}?plays=${plays.join()}`; // as `join` would say
    /** @type {Wish} */
    this.given = "all";
    /** Frames are taken only after the `track` that answers a `join`. */
    this.joined = true;
  }

  /** @param {Wish} wish
   *  @returns {string} where to connect: else it would wake a camera up for nobody */
  path(wish) {
    return wish === "all" ? this.joinPath : this.restPath;
  }

  /** There is another connection. @param {string} path that was taken */
  welcome(path) {
    this.joined = true;
    this.given = path === this.joinPath ? "all" : "nothing";
  }

  /** A track begins. */
  begin() {
    this.joined = true;
  }

  /** Some frames were left out, which makes the following useless. */
  interrupt() {
    this.joined = false;
  }

  /** Asks the relay for the tracks and all frames since the last keyframe. */
  join() {
    this.joined = false;
    this.given = "all";
    this.send({ type: "join", plays: this.plays });
  }

  /** Asks the relay for what is taken, unless it knows. @param {Wish} wish */
  settle(wish) {
    if (wish === this.given) return;
    if (wish === "all") return this.join();
    this.given = wish;
    const sound = { type: "join", video: false, plays: this.plays };
    this.send(wish === "sound" ? sound : { type: "rest" });
  }
}

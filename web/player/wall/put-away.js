// Cameras that are gone and that a person has put away on this device. Each is remembered with the
// time since when it is gone: if it goes again, that is news.

import { onRemembered, recall, remember } from "../../shared/page/stored.js";

const STORED = "drawercam-put-away";

/** Names remembered: the relay tells of 100 at most that are gone. The oldest are forgotten. */
const MOST = 200;

export class PutAway {
  /**
   * @param {() => void} onchange another page of this device has put some away, or has brought them
   *   back
   */
  constructor(onchange) {
    /** ms since the epoch by the relay's clock, as it said them. @type {Map<string, number>} */
    this.since = new Map();
    this.load();
    onRemembered(STORED, () => {
      this.load();
      onchange();
    });
  }

  load() {
    this.since = new Map();
    try {
      for (const [name, since] of Object.entries(JSON.parse(recall(STORED) || "{}")))
        if (since > 0) this.since.set(name, since);
    } catch (error) {
      // no page of ours wrote that
    }
  }

  save() {
    /** @type {Record<string, number>} */
    const known = {};
    for (const [name, since] of [...this.since].slice(-MOST)) known[name] = since;
    remember(STORED, JSON.stringify(known));
  }

  /**
   * Whether it was put away, and has not gone again since. An earlier time is another one, too:
   * clocks are put right.
   * @param {string} name
   * @param {number} since
   */
  has(name, since) {
    return this.since.get(name) === since;
  }

  /** @param {[name: string, since: number][]} cameras */
  put(cameras) {
    for (const [name, since] of cameras) {
      this.since.delete(name); // the newest stand last
      this.since.set(name, since);
    }
    this.save();
  }

  /** They are back, or are to be seen again. @param {string[]} names */
  forget(names) {
    const known = names.filter((name) => this.since.delete(name));
    if (known.length > 0) this.save();
  }
}

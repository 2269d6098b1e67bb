// Who is on the wall: the cameras that the relay lists, also those that are gone, and those that it
// lists no more though they have filmed here. A camera never leaves the wall without a word.

/**
 * @typedef {import("../tile/departure.js").Word & {name: string}} Entry of the message `cameras`
 *   (docs/protocol.md)
 */

/** Those kept that the relay does not list: as many as it remembers itself. */
const MOST_KEPT = 100;

export class Roll {
  constructor() {
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
    /** Those that have filmed. @type {Set<string>} */
    this.filmed = new Set();
  }

  /** @param {Entry[]} listed by the relay, all @param {number} [now] ms since the epoch */
  take(listed, now = Date.now()) {
    const before = this.entries;
    this.entries = new Map(
      listed.map((entry) => /** @type {[string, Entry]} */ ([entry.name, entry])),
    );
    for (const { name, state } of listed) if (state !== "waiting") this.filmed.add(name);
    const missing = [...before.values()].filter(
      ({ name }) => !this.entries.has(name) && this.filmed.has(name),
    );
    const kept = missing.map((entry) =>
      entry.state === "gone" ? entry : { ...entry, state: "gone", reason: "lost", since: now },
    );
    kept.sort((a, b) => (b.since || 0) - (a.since || 0));
    for (const entry of kept.slice(0, MOST_KEPT)) this.entries.set(entry.name, entry);
    for (const name of this.filmed) if (!this.entries.has(name)) this.filmed.delete(name);
  }

  /** @returns {Entry[]} by name */
  get all() {
    return [...this.entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  clear() {
    this.entries.clear();
    this.filmed.clear();
  }
}

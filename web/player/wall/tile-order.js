// The order of the tiles that a person has given them, remembered on this device. Until then they
// stand by name. A camera that is new goes last; one that is gone, put away or long forgotten by
// the relay keeps its place.

import { onRemembered, recall, remember } from "../../shared/page/stored.js";

const STORED = "drawercam-order";

/**
 * Names remembered: a wall has fewer, with 100 that are gone. Those that come last are forgotten
 * first, for those that are new come last, too.
 */
const MOST = 400;

export class TileOrder {
  /** @param {() => void} onchange another page of this device has changed it */
  constructor(onchange) {
    /** @type {string[]} */
    this.names = [];
    this.load();
    onRemembered(STORED, () => {
      this.load();
      onchange();
    });
  }

  load() {
    this.names = [];
    try {
      const stored = JSON.parse(recall(STORED) || "[]");
      this.names = [
        ...new Set(stored.filter((/** @type {any} */ name) => typeof name === "string")),
      ].slice(0, MOST);
    } catch (error) {
      // no page of ours wrote that
    }
  }

  save() {
    this.names = this.names.slice(0, MOST);
    remember(STORED, JSON.stringify(this.names));
  }

  /**
   * @param {string[]} names in the order that they have without a person's wish
   * @returns {string[]} the same in the order of the wall
   */
  sort(names) {
    if (this.names.length === 0) return names;
    const known = new Set(this.names);
    const fresh = names.filter((name) => !known.has(name));
    if (fresh.length > 0) {
      this.names.push(...fresh);
      this.save();
    }
    const places = new Map(
      this.names.map((name, place) => /** @type {[string, number]} */ ([name, place])),
    );
    const placeOf = (/** @type {string} */ name) =>
      /** @type {number} */ (places.has(name) ? places.get(name) : MOST);
    return [...names].sort((a, b) => placeOf(a) - placeOf(b));
  }

  /**
   * Puts one beside another one.
   * @param {string} name
   * @param {string} neighbour
   * @param {boolean} after whether behind it, and not in front of it
   * @param {string[]} shown all names of the wall in their present order
   */
  put(name, neighbour, after, shown) {
    if (name === neighbour || !shown.includes(name) || !shown.includes(neighbour)) return;
    if (this.names.length === 0) this.names = [...shown];
    this.sort(shown); // those that are new have a place, too
    const others = this.names.filter((one) => one !== name);
    others.splice(others.indexOf(neighbour) + (after ? 1 : 0), 0, name);
    this.names = others;
    this.save();
  }
}

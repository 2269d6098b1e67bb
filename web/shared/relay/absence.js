// Since when the relay has not answered: what all links of a page know together, so that its
// banner, its tiles and its title say one thing.
//
//   relay.heard();       // it has answered, to whatever it was
//   relay.farewell();    // it has said good-bye: it restarts, or was stopped
//   relay.away();        // null, or since when, after PATIENCE without an answer
//
// All times are of the clock on the wall, because they are told to people. That clock and this page
// stand still while the device sleeps, and what happened meanwhile nobody here knows: after such a
// sleep the relay has another PATIENCE, and what it is said to have missed begins with the waking.

import { clockTime, timeOf } from "../page/clock-time.js";

/**
 * stopped: it has said good-bye, at that moment; else nothing was heard since then; at: ms since
 * the epoch; moved: somebody knows that it is at another address now
 * @typedef {{at: number, stopped: boolean, moved: boolean}} Away
 */

/**
 * Why the relay lets a page in no more, as it says (docs/protocol.md); add: the line that would
 * help, if there is one.
 * @typedef {{id: string, text: string, add?: string}} Refusal
 */

/** What is said with these is said otherwise: that it restarts, or that it wants another key. */
const OTHER_WORDS = ["restarting", "revoked", "no-key", "not-allowed"];

/** Milliseconds without an answer after which a relay that restarts would be back. */
const PATIENCE = 10000;

/**
 * Milliseconds between two looks, which come every second, above which the device has slept: of a
 * page that is seen, which may be busy, and of one that is hidden, whose timers browsers let run
 * once a minute.
 */
const SLEPT = 20000;
const SLEPT_HIDDEN = 75000;

/**
 * Milliseconds without an answer that are no answer also where a link counts as open: a hidden page
 * asks once a minute, and gives up nothing.
 */
const SILENT = 150000;

/** Milliseconds after a waking in which a good-bye may be one that has waited since long before. */
const WAKING = 5000;

/** Milliseconds between two looks. */
const LOOK = 1000;

function isHidden() {
  return document.visibilityState !== "visible";
}

export class Absence {
  /** @param {() => number} [clock] ms since the epoch; for tests */
  constructor(clock = () => Date.now()) {
    this.clock = clock;
    /** When it answered last, or this device woke. A page begins with an answer: itself. */
    this.heardAt = clock();
    /** When it said good-bye, 0 if it has not. */
    this.farewellAt = 0;
    this.moved = false;
    this.wokeAt = -Infinity;
    this.lookedAt = this.heardAt;
    this.wasHidden = isHidden();
  }

  /**
   * Finds out whether the device has slept: to be called every second.
   * @returns {number} now, ms since the epoch
   */
  look() {
    const now = this.clock();
    const hidden = isHidden();
    const longest = hidden || this.wasHidden ? SLEPT_HIDDEN : SLEPT;
    // Or the clock was set, which makes its times worth as little.
    if (Math.abs(now - this.lookedAt) > longest) this.woke(now);
    this.lookedAt = now;
    this.wasHidden = hidden;
    return now;
  }

  /** It is asked from now on, and was not before: silence till now was no absence. */
  begin() {
    this.heardAt = this.look();
  }

  /** This device has slept. @param {number} [now] ms since the epoch */
  woke(now = this.clock()) {
    this.wokeAt = this.heardAt = this.lookedAt = now;
    if (this.farewellAt > now) this.farewellAt = 0;
  }

  /**
   * What a link has to say (relay-link.js).
   * @param {import("./relay-link.js").LinkState} state
   * @param {Refusal | null} refusal
   * @param {boolean | null} moved
   */
  linked(state, refusal, moved) {
    if (state === "open") this.heard();
    else if (state === "waiting" && refusal) {
      if (refusal.id === "restarting") this.farewell();
      else this.heard();
    }
    if (moved !== null) this.moved = moved;
  }

  heard() {
    this.heardAt = this.look();
    this.farewellAt = 0;
    this.moved = false;
  }

  farewell() {
    this.heardAt = this.look();
    if (this.heardAt - this.wokeAt >= WAKING) this.farewellAt = this.heardAt;
  }

  /** It has said good-bye, and may be back in a moment. */
  get restarting() {
    return this.farewellAt > 0 && this.look() - this.farewellAt < PATIENCE;
  }

  /** For those whose link is open, as far as they know. */
  get silent() {
    return this.look() - this.heardAt >= SILENT;
  }

  /**
   * For those whose link is not open.
   * @returns {Away | null} null while it may be back in a moment
   */
  away() {
    if (this.look() - this.heardAt < PATIENCE) return null;
    return { at: this.farewellAt || this.heardAt, stopped: this.farewellAt > 0, moved: this.moved };
  }
}

/** @param {Away} away @returns {string} a sentence without its full stop */
export function awayWords({ at, stopped, moved }) {
  if (moved) return "The relay has moved to another address";
  return stopped
    ? `The relay stopped ${clockTime(at)}`
    : `The relay has not answered since ${timeOf(at)}`;
}

/**
 * What to ask first, and what else may be the matter: a browser that was told to trust one
 * certificate takes no other one, and does not tell a page. That is unlikely where the relay has
 * said good-bye, or is known to be elsewhere.
 * @param {Away} away
 * @returns {string} sentences
 */
export function causeWords({ stopped, moved }) {
  const first = "Is the relay running, and is this device in its network?";
  if (location.protocol !== "https:" || stopped || moved) return first;
  return `${first} If both is so, reload this page: the relay may have another certificate now.`;
}

/**
 * @param {Refusal | null} word the relay's last one
 * @returns {Refusal | null} it, if it keeps a page out that could come in otherwise
 */
export function refusalOf(word) {
  return word && !OTHER_WORDS.includes(word.id) ? word : null;
}

/**
 * Whether somebody has to set the relay or a proxy otherwise: the page says it once.
 * @param {Refusal} refusal
 */
export function concernsPage({ add }) {
  return Boolean(add);
}

/** @param {Refusal} refusal @returns {string} sentences, with what a person can do */
export function refusalWords({ id, text, add }) {
  if (!add) return text;
  return `${text} What to add${id === "foreign-origin" ? " to nginx’ location" : ""}: ${add}`;
}

/** The relay of this page. */
export const relay = new Absence();

setInterval(() => relay.look(), LOOK);
document.addEventListener("resume", () => relay.woke()); // of a page that the browser had frozen
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) relay.woke();
});

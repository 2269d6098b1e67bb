// What a key allows, for whom it is and until when, in words.

import { inARow } from "../shared/in-a-row.js";
import { isolated } from "../shared/page/camera-name.js";

/**
 * As the relay lists it (docs/protocol.md, `/api/keys`).
 * @typedef {{id: string, label: string, publish: "all" | string[], watch: "all" | string[], made:
 *             number, expires: number | null, over: boolean, held: boolean}} Key
 */

/** The label of the keys that the relay makes by itself (drawercam/access/keys.py). */
const FIRST_START = "made at the first start";

/** @param {Key} key whether its holder may give keys to others */
export function manages({ publish, watch }) {
  return publish === "all" && watch === "all";
}

/**
 * @param {Key} key
 * @returns {boolean} whether it is one of those whose links the relay prints at each start
 */
export function isPrinted(key) {
  return key.label === FIRST_START && !manages(key);
}

/** @param {Key} key @returns {string} what it is called in the list */
export function titleOf(key) {
  if (key.label && key.label !== FIRST_START) return key.label;
  if (manages(key)) return "Own";
  if (key.label)
    return key.publish === "all" ? "The relay’s code “Film”" : "The relay’s code “Watch”";
  return `Key ${key.id}`;
}

/**
 * @param {Pick<Key, "publish" | "watch">} key
 * @param {(name: string) => string} called what a camera is called
 * @returns {string} such as
 * "watch porch and garden"
 */
export function allows({ publish, watch }, called) {
  const parts = [];
  if (publish.length > 0)
    parts.push(
      publish === "all" ? "film under any name" : `film as ${listed(publish, called, "or")}`,
    );
  if (watch.length > 0)
    parts.push(watch === "all" ? "watch every camera" : `watch ${listed(watch, called, "and")}`);
  if (publish === "all" && watch === "all") parts.push("invite others");
  return inARow(parts, "and");
}

/** @param {string[]} names @param {(name: string) => string} called @param {string} between */
function listed(names, called, between) {
  return inARow(
    names.map((name) => isolated(called(name))),
    between,
  );
}

/**
 * @param {number | null} moment seconds since 1970; null: it does not end by itself
 * @param {boolean} [over]
 * @returns {string}
 */
export function untilWords(moment, over = false) {
  if (moment === null) return "until you revoke it";
  return `${over ? "ended on" : "until"} ${dayAndTime(moment * 1000)}`;
}

/**
 * @param {number} moment ms since the epoch
 * @returns {string} in this device's time and language
 */
function dayAndTime(moment) {
  const date = new Date(moment);
  const day = { weekday: "long", day: "numeric", month: "long" };
  const year = date.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  return date.toLocaleString(
    [],
    /** @type {any} */ (Object.assign({ hour: "2-digit", minute: "2-digit" }, day, year)),
  );
}

// Whether a camera's next picture is late, by the camera's own measure: one that gives a picture in
// eight seconds does not stand still between two of them, and one that gives thirty in a second
// does so at once.

/** Milliseconds without a picture that are nothing unusual of any camera. */
const LEAST = 3000;

/** So many of the camera's own intervals may pass without a picture. */
const INTERVALS = 3;

/**
 * Milliseconds between two pictures that are believed at most: beyond that nobody could call it
 * filming.
 */
const SLOWEST = 60000;

/**
 * Milliseconds until a camera stands still of which only one picture has come: there are lenses of
 * one picture in 20 s.
 */
const UNKNOWN = 30000;

/**
 * Milliseconds without anything from the relay, which answers a ping every 2 s (relay-link.js): the
 * network stands still.
 */
export const SILENT_AFTER = 3000;

/**
 * @param {number} without ms without a picture
 * @param {number} silence ms without anything from the relay
 * @param {number | null} pace ms from one picture to the next, usually; null before the second one
 * @returns {"" | "waiting" | "late"} waiting: nobody can know yet whether it is late
 */
export function lateness(without, silence, pace) {
  if (without <= LEAST) return "";
  if (silence > SILENT_AFTER) return "late"; // whatever the lens does
  if (pace === null) return without > UNKNOWN ? "late" : "waiting";
  return without > INTERVALS * Math.min(pace, SLOWEST) ? "late" : "";
}

// What becomes of a wall's page by the key that its browser has, in words.

import { ASK_FOR_LINK, keepsNoKey, refusedWords } from "../../shared/relay/login.js";
import { inARow } from "../../shared/in-a-row.js";

/** @typedef {import("../../shared/types.js").Session} Session */

/** Cameras of a key that are named in a sentence. */
const MOST_NAMED = 3;

/** @param {Session} session @param {string | null} only the camera that this page shows
 *  @returns {boolean} whether what this page shows is for this browser */
export function mayWatch({ keys, viewer, watch }, only) {
  return !keys || (viewer && (only === null || watch === "all" || watch.includes(only)));
}

/** What the key is for that does not open this page.
 *  @param {Session} session @returns {string} "" where there is none */
export function otherWords({ camera, viewer, watch, link }) {
  if (viewer && watch !== "all") return `Your key is for ${inARow(few(watch), "and")} only.`;
  if (!camera) return "";
  if (link) return `This link is for filming. ${ASK_FOR_LINK}`;
  return "This browser has a “Film” key.";
}

/** @param {Session | null} session @param {string} name
 *  @returns {boolean} whether the key of this browser shows this camera and no other */
export function isOnly(session, name) {
  return (
    session !== null && session.keys && session.watch !== "all" && session.watch.join() === name
  );
}

/** A guest's key shows certain cameras, and films nothing.
 *  @param {Session | null} session
 *  @returns {string} what such a person is told where none of them is here */
export function guestWords(session) {
  if (!session || !session.keys || session.camera || session.watch === "all") return "";
  const [camera] = session.watch;
  const alone = session.watch.length === 1;
  const subject = alone ? camera : "Each of them";
  const when = `${subject} will be here as soon as it films.`;
  return `Your key is for ${inARow(few(session.watch), "and")} only. ${when}`;
}

/** @param {Session | null} session null: there is no such key @param {boolean} typed just now
 *  @returns {string} why it opens no wall */
export function judgeKey(session, typed) {
  if (!session) return refusedWords();
  if (keepsNoKey(session)) return "Cookies are still blocked.";
  if (!typed) return "";
  if (session.viewer) return otherWords(session);
  return "This is a “Film” key. Watching takes a “Watch” key.";
}

/** @param {string} id @param {string} text what the relay said last
 *  @returns {string} what became of this page's key */
export function lostWords(id, text) {
  return id === "revoked" ? `${text} ${ASK_FOR_LINK}` : text;
}

/** What the key of this browser opens instead.
 *  @param {Session | null} session @returns {{href: string, text: string} | null} */
export function otherWay(session) {
  if (!session) return null;
  const names = session.viewer && session.watch !== "all" ? session.watch : [];
  if (names.length === 1) {
    return { href: `/player.html?camera=${names[0]}`, text: `Watch ${names[0]}` };
  }
  if (names.length > 1) return { href: "/player.html", text: "Watch those" };
  return session.camera ? { href: "/camera.html", text: "Film with this device" } : null;
}

/** @param {string[]} names @returns {string[]} such as "gate", "porch", "attic", "3 more" */
function few(names) {
  if (names.length <= MOST_NAMED) return names;
  return [...names.slice(0, MOST_NAMED), `${names.length - MOST_NAMED} more`];
}

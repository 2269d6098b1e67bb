// Keys: a link from a QR code carries one in its fragment (`#key=...`); it is exchanged once for a
// cookie and taken out of the address bar.

import { relay } from "./absence.js";
import { remember } from "../page/stored.js";

/** @typedef {import("../types.js").Session} Session */

/**
 * Times that a key is shown again when the relay says that too many wrong ones came from this
 * network, and the longest wait (ms) between.
 */
const MOST_TRIES = 3;
const LONGEST_WAIT = 5000;

/**
 * Key of localStorage: when this browser was given a key last, so that its other pages hear of it.
 */
const STORED_AT = "drawercam.key";

/** What the relay has said last. @type {Session | null} */
let last = null;

/** The key from the address, until the relay has answered to it. */
let brought = "";

/**
 * Why the relay took the last key that it was shown and did not take: an id of docs/protocol.md.
 */
let refusedId = "";

/**
 * What a person is told of a key that was typed, and of the key in a link.
 * @type {Record<string, [string, string]>}
 */
const REFUSED_WORDS = {
  "wrong-key": [
    "The relay does not know this key. Look for a typing error.",
    "The relay does not know the key of this link: it was revoked, or a part of the link is missing.",
  ],
  "ended-key": ["The time of this key is over.", "The time of this link is over."],
  "too-many-keys": [
    "Too many wrong keys came from this network, so this one was not looked at. Try again in a minute.",
    "Too many wrong keys came from this network, so the key of this link was not looked at. Open the link again in a minute.",
  ],
};

export const LINK_OPENS_NOTHING = "This link does not open this page";

export const ASK_FOR_LINK = "Ask whoever sent you the link for a new one.";

/** Why the relay has not taken the key that a person has just typed. */
export function refusedWords() {
  return (REFUSED_WORDS[refusedId] || REFUSED_WORDS["wrong-key"])[0];
}

/**
 * Why the link does not open this page, by which it was opened.
 * @param {Session | null} session what the relay has said then
 * @returns {string} sentences; "" where no link has brought a key, or it was taken
 */
export function linkWords(session) {
  const refused = session && session.link ? REFUSED_WORDS[session.link] : undefined;
  return refused
    ? `${refused[1]}${session && session.link === "too-many-keys" ? "" : ` ${ASK_FOR_LINK}`}`
    : "";
}

/** What this browser may do as the relay has said last, null before it has. */
export function lastSession() {
  return last;
}

/** The relay was reached, and refuses this page's requests, whatever key comes with them. */
export class RefusalError extends Error {
  /** @param {import("./absence.js").Refusal} refusal */
  constructor(refusal) {
    super(refusal.text);
    this.refusal = refusal;
  }
}

/**
 * @param {RequestInit} [more]
 * @returns {Promise<Response>} any answer of the relay; rejects where it is not the relay that
 *   answers
 */
async function ask(more) {
  // Chrome before 68 sends and keeps no cookies without being told so.
  const answer = await fetch("/api/session", Object.assign({ credentials: "same-origin" }, more));
  if (!answer.ok && answer.status !== 401 && answer.status !== 429) throw await errorOf(answer);
  relay.heard();
  return answer;
}

/** @param {Response} answer @returns {Promise<Error>} */
async function errorOf(answer) {
  const away = new Error(`/api/session: ${answer.status}`);
  try {
    const { error, text, add } = await answer.json();
    if (typeof error !== "string" || typeof text !== "string") return away;
    if (error === "restarting") {
      relay.farewell();
      return away;
    }
    relay.heard();
    return new RefusalError({ id: error, text, add });
  } catch (error) {
    return away; // a proxy's page, which says that nothing is behind it
  }
}

/** @param {Response} answer @returns {Promise<Session>} */
async function read(answer) {
  return (last = await answer.json());
}

/** @param {Response} answer that refuses @returns {Promise<string>} */
async function idOf(answer) {
  try {
    return String((await answer.json()).error);
  } catch (error) {
    return "wrong-key"; // a proxy's page
  }
}

/** What the relay grants, as far as a cookie can keep it. @param {Session} session */
function grantOf({ camera, viewer, publish, watch, manage }) {
  return JSON.stringify([camera, viewer, publish, watch, manage]);
}

/**
 * Uses the key in the address, if there is one, and says what this browser may do.
 * @returns {Promise<Session>} rejects when the relay does not answer, with a RefusalError where it
 *   says why it lets this page in no more
 */
export async function openSession() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const key = fragment.get("key");
  if (key) {
    fragment.delete("key");
    const rest = fragment.toString();
    history.replaceState(
      history.state,
      "",
      location.pathname + location.search + (rest ? `#${rest}` : ""),
    );
    brought = key;
  }
  if (brought) {
    const session = await useKey(brought);
    if (session) return Object.assign(session, { link: "taken" });
    brought = "";
    return Object.assign(await read(await ask()), { link: refusedId });
  }
  return read(await ask());
}

/**
 * Whether a key is no use here, because this browser does not keep it.
 * @param {Session | null} session what the relay has said last
 */
export function keepsNoKey(session) {
  return session !== null && session.keys && (session.unkept === true || !keepsCookies());
}

/**
 * Whether this browser keeps a cookie of this page. Many that keep none say that they do
 * (`navigator.cookieEnabled`), so it is tried.
 */
function keepsCookies() {
  const probe = "drawercam-probe=1";
  try {
    document.cookie = `${probe}; path=/; SameSite=Strict`;
    const kept = document.cookie.includes(probe);
    document.cookie = `${probe}; path=/; SameSite=Strict; Max-Age=0`;
    return kept;
  } catch (error) {
    return false; // a frame that may keep nothing at all
  }
}

export const KEEPS_NO_KEY = "This browser does not keep the key";

/** What to do there. @param {Session | null} session as above @returns {string[]} sentences */
export function stepsToKeep(session) {
  const why = `cookies are blocked for ${location.host}.`;
  const steps = [
    session && session.unkept
      ? `The key is right, but it does not stay here: ${why}`
      : `A key stays in a cookie, and ${why}`,
    "Allow cookies for this page in the browser’s settings (often by the icon left of the address), or open it in a window that is not " +
      "private. Then touch “Try again”.",
  ];
  if (window.top !== window)
    steps.push(
      "It stands inside of another page, and there many browsers block all cookies: open it by itself.",
    );
  return steps;
}

/**
 * Tells when there is a key that this page has not used yet: `openSession` will.
 * @param {(here: boolean) => void} onkey here: it has come to this page, by a scanned code or a
 *     link, which change only the fragment of an open page's address; else another page of this
 *     browser was given one
 */
export function onNewKey(onkey) {
  addEventListener("hashchange", () => {
    if (new URLSearchParams(location.hash.slice(1)).has("key")) onkey(true);
  });
  addEventListener("storage", (event) => {
    if (event.key === STORED_AT) onkey(false);
  });
}

/**
 * Exchanges a key for this browser's cookie. A key that the browser does not keep is used again by
 * the next `openSession`.
 * @param {string} key as printed by the relay
 * @returns {Promise<Session | null>} null when the relay does not take the key (`refusedWords`);
 *   rejects as `openSession` does
 */
export async function useKey(key) {
  for (let tries = 1; ; tries += 1) {
    const body = JSON.stringify({ key: key.trim().toLowerCase() });
    const answer = await ask({
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
    });
    if (answer.ok) {
      const granted = await answer.json();
      const session = await read(await ask());
      // What the relay knows of this browser with the next request is all that there is: this one
      // brought the key itself.
      session.unkept = grantOf(session) !== grantOf(granted);
      brought = session.unkept ? key : "";
      if (!session.unkept) remember(STORED_AT, String(Date.now()));
      return session;
    }
    if (answer.status !== 429 || tries === MOST_TRIES) {
      refusedId = answer.status === 429 ? "too-many-keys" : await idOf(answer);
      return null;
    }
    const wait = Number(answer.headers.get("Retry-After")) * 1000;
    await new Promise((resolve) => setTimeout(resolve, Math.min(wait, LONGEST_WAIT)));
  }
}

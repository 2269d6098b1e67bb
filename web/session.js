// Keys: a link from a QR code carries one in its fragment (`#key=...`); it is exchanged once for a cookie and taken out of the address bar.

import { remember } from "./remembered.js";

/** @typedef {import("./types.js").Session} Session */

/** Times that a key is shown again when the relay says that too many wrong ones came from this network, and the longest wait (ms) between. */
const MOST_TRIES = 3;
const LONGEST_WAIT = 5000;

/** Key of localStorage: when this browser was given a key last, so that its other pages hear of it. */
const STORED_AT = "drawercam.key";

/** What the relay has said last. @type {Session | null} */
let last = null;

/** The key from the address, until the relay has answered to it. */
let brought = "";

/** What this browser may do as the relay has said last, null before it has. */
export function lastSession() {
  return last;
}

/** @param {Response} answer @returns {Promise<Session>} */
async function read(answer) {
  return (last = await answer.json());
}

/**
 * Uses the key in the address, if there is one, and says what this browser may do.
 * @returns {Promise<Session>} rejects when the relay does not answer
 */
export async function openSession() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const key = fragment.get("key");
  if (key) {
    fragment.delete("key");
    const rest = fragment.toString();
    history.replaceState(history.state, "", location.pathname + location.search + (rest ? `#${rest}` : ""));
    brought = key;
  }
  if (brought) {
    const session = await useKey(brought);
    brought = "";
    if (session) return session;
  }
  const answer = await fetch("/api/session");
  if (!answer.ok) throw new Error(`/api/session: ${answer.status}`);
  return read(answer);
}

/**
 * Tells when there is a key that this page has not used yet: `openSession` will.
 * @param {(here: boolean) => void} onkey here: it has come to this page, by a scanned code or a link, which change only the fragment of an
 *     open page's address; else another page of this browser was given one
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
 * Exchanges a key for this browser's cookie.
 * @param {string} key as printed by the relay
 * @returns {Promise<Session | null>} null when the relay does not know the key
 */
export async function useKey(key) {
  for (let tries = 1; ; tries += 1) {
    const answer = await fetch("/api/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ key: key.trim().toLowerCase() }),
    });
    if (answer.ok) remember(STORED_AT, String(Date.now()));
    if (answer.status !== 429 || tries === MOST_TRIES) return answer.ok ? read(answer) : null;
    const wait = Number(answer.headers.get("Retry-After")) * 1000;
    await new Promise((resolve) => setTimeout(resolve, Math.min(wait, LONGEST_WAIT)));
  }
}

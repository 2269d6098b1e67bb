// Keys: a link from a QR code carries one in its fragment (`#key=...`); it is exchanged once for a cookie and taken out of the address bar.

/**
 * What this browser may do: `publish` and `watch` are "all" or a list of cameras, `camera` and `viewer` say whether that is anything at all.
 * With a registry: where to ask for a relay that has moved, what it is called there, and the ticket that lets this browser in there.
 * @typedef {{keys: boolean, camera: boolean, viewer: boolean, publish: "all" | string[], watch: "all" | string[], manage: boolean,
 *            registry?: string, relay?: string, ticket?: string | null}} Session
 */

/** Times that a key is shown again when the relay says that too many wrong ones came from this network, and the longest wait (ms) between. */
const MOST_TRIES = 3;
const LONGEST_WAIT = 5000;

/** What the relay has said last. @type {Session | null} */
let last = null;

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
    history.replaceState(null, "", location.pathname + location.search + (rest ? `#${rest}` : ""));
    const session = await useKey(key);
    if (session) return session;
  }
  const answer = await fetch("/api/session");
  if (!answer.ok) throw new Error(`/api/session: ${answer.status}`);
  return read(answer);
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
    if (answer.status !== 429 || tries === MOST_TRIES) return answer.ok ? read(answer) : null;
    const wait = Number(answer.headers.get("Retry-After")) * 1000;
    await new Promise((resolve) => setTimeout(resolve, Math.min(wait, LONGEST_WAIT)));
  }
}

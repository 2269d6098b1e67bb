// Keys: a link from a QR code carries one in its fragment (`#key=...`); it is exchanged once for a cookie and taken out of the address bar.

/** What this browser may do. @typedef {{keys: boolean, camera: boolean, viewer: boolean}} Session */

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
  return answer.json();
}

/**
 * Exchanges a key for this browser's cookie.
 * @param {string} key as printed by the relay
 * @returns {Promise<Session | null>} null when the relay does not know the key
 */
export async function useKey(key) {
  const answer = await fetch("/api/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key: key.trim().toLowerCase() }),
  });
  return answer.ok ? answer.json() : null;
}

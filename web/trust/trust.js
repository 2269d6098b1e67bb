// The trust page: puts this device's steps first, and asks the relay over https whether it is
// trusted now. Everything else on the page works without this script.

import "../guard.js";
import { Deadline } from "../shared/relay/deadline.js";

// Milliseconds after which a relay that does not answer is given up: a TLS handshake on an old
// phone takes one second.
const CHECK_PATIENCE_MS = 8000;

/**
 * @typedef {"android" | "ios" | "firefox-android" | "firefox" | "windows" | "macos" | "linux"}
 *   System
 */

/**
 * Which steps fit a browser. Only the user agent tells, because what matters is where the settings
 * are and not what the browser can do.
 * @param {string} agent `navigator.userAgent`
 * @param {number} touches `navigator.maxTouchPoints`: an iPad says it were a Mac, and no Mac has a
 *   touch screen
 * @returns {System}
 */
export function systemOf(agent, touches) {
  if (/iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && touches > 1)) return "ios";
  const firefox = /Firefox\//.test(agent);
  if (/Android/.test(agent)) return firefox ? "firefox-android" : "android";
  if (firefox) return "firefox";
  if (/Windows/.test(agent)) return "windows";
  return /Macintosh/.test(agent) ? "macos" : "linux";
}

/**
 * Whether this browser trusts the relay.
 * @param {string} relay its https origin
 * @returns {Promise<"trusted" | "refused" | "silent">} "silent": no answer at all within
 *   CHECK_PATIENCE_MS
 */
export async function ask(relay) {
  const deadline = new Deadline(CHECK_PATIENCE_MS);
  try {
    await deadline.within(
      fetch(`${relay}/healthz`, {
        cache: "no-store",
        credentials: "omit",
        signal: deadline.signal,
      }),
    );
    return "trusted";
  } catch (error) {
    return deadline.aborted ? "silent" : "refused";
  } finally {
    deadline.clear();
  }
}

const WORDS = {
  asking: ["connecting", "Asking …", ""],
  trusted: [
    "live",
    "Yes. This browser trusts the computer.",
    "Scan the codes in the terminal, or go on here:",
  ],
  refused: [
    "gone",
    "Not yet.",
    "Has the last step been done, and was the browser ended and opened again? Some look only when they start.",
  ],
  silent: [
    "gone",
    "No answer.",
    "Is this device in the same network, and does the relay still run?",
  ],
};

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** @param {keyof typeof WORDS} outcome */
function tell(outcome) {
  const [state, sentence, next] = WORDS[outcome];
  const result = byId("check-result");
  result.dataset.state = state;
  result.dataset.outcome = outcome;
  result.textContent = sentence;
  result.hidden = false;
  const more = byId("check-next");
  more.textContent = next;
  more.hidden = !next;
  byId("check-button").disabled = outcome === "asking";
}

function start() {
  const system = systemOf(navigator.userAgent, navigator.maxTouchPoints);
  // Firefox on Android takes what Android trusts, so Android's steps come before its own.
  for (const name of system === "firefox-android" ? [system, "android"] : [system]) {
    const steps = /** @type {HTMLDetailsElement} */ (
      document.querySelector(`details[data-system="${name}"]`)
    );
    steps.open = true;
    steps.setAttribute("data-here", "");
    byId("systems").prepend(steps);
  }
  const { relay } = byId("trust").dataset;
  const button = byId("check-button");
  button.disabled = false;
  button.addEventListener("click", async () => {
    tell("asking");
    tell(await ask(relay));
  });
}

if (byId("trust")) start();

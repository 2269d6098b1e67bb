// What a tile says of its camera, from all that is known: its state, one sentence over the picture,
// and who holds a picture back. It never looks well when it is not, and blames nobody without
// proof.

import { SILENT_AFTER, lateness } from "./late.js";
import { awayWords, concernsPage, refusalOf, relay } from "../../shared/relay/absence.js";
import { timeOf } from "../../shared/page/clock-time.js";

/** @typedef {"connecting" | "waiting" | "live" | "frozen" | "paused" | "gone" | "failed"} TileState
 *  connecting: the relay or the first picture is still to come; frozen: live, but no picture
 *  arrives;
 *  failed: this page cannot show it. */
/** @typedef {"network" | "slow" | "browser" | "camera" | "relay" | "unknown"} Culprit */
/** Who holds the picture of a frozen tile back stands last. @typedef
 *  {[TileState, string, Culprit?]} Verdict */

/** All of performance.now(): when something last came from the relay, when its last `pong` did,
 *  when the camera's last frame came to the relay and the last one of its pictures here, when the
 *  last picture was shown or began to be expected; and since when frames were left out.
 *  @typedef
 *  {{heardAt: number, pongAt: number, filmedAt: number, receivedAt: number, pictureAt: number,
 *            slowFrom: number}} Times */

/** What the relay last said of the camera; microphone: what the camera says of it, "" for nothing.
 *  @typedef {{state: string, reason: string, keyless: boolean, microphone: string}} CameraWord */

/** link: the connection's state; refusal: what the relay refuses this page with; wasOpen: there was
 *  a connection before; departure: the words of a camera that is gone, else ""; listed: the wall's
 *  list tells of it; hasTrack: pictures are announced; failure: why no engine can show them, else
 *  ""; blocked: the browser wants a tap; engineRefusal: why single pictures are not given, else "";
 *  shows: there is a picture of this track; hadPicture: there was one at any time; pace: ms from
 *  one to the next, or null; filmed: when the last one was, ms since the epoch, 0 while unknown;
 *  small, short: there is room for few words, or for short sentences; deviceBusy, busy: this device
 *  does not keep up, or only its decoder
 *  @typedef {{link: import("../../shared/relay/relay-link.js").LinkState,
 *            refusal: {id: string, text: string} | null, wasOpen: boolean, departure: string,
 *            listed: boolean, camera: CameraWord | null, hasTrack: boolean, failure: string,
 *            blocked: boolean, engineRefusal: string, shows: boolean, hadPicture: boolean,
 *            watched: boolean, pace: number | null, filmed: number, small: boolean,
 *            short: boolean, deviceBusy: boolean, busy: boolean, times: Times}} Facts */

/** By so much (ms) something must be later than the last picture to prove anything: what is on its
 *  way, or in a buffer, is no proof. */
const PROOF = 1000;

/** Milliseconds of a beginning, up to the first keyframe. */
export const BEGINNING = 2500;

/** From this age (ms) on, a picture that stands while there is no connection is old: its time is
 *  told. */
const OLD_PICTURE = 10000;

/** What stands over the picture beside the state's word: short, because a tile may be small.
 *  @type {Record<string, string>} */
const PAUSED_BECAUSE = {
  viewers: "Its viewers asked for a pause.",
  unwatched: "Waking up…",
  camera: "Paused at the camera.",
  background: "The camera’s page is in the background.",
  interrupted: "Another app or a call has taken the lens, or it is not there.",
};

const KEYLESS =
  "The camera sends no keyframe, with which its pictures could begin. Let it send one every 2 s.";

/** @param {Facts} facts @param {number} now ms of performance.now() @returns {Verdict} */
export function judge(facts, now) {
  const { link, refusal, departure, camera, hadPicture } = facts;
  if (link === "closed" && refusal) return ["failed", refusal.text];
  // Without a list, the camera may have come back while there is no connection.
  if (departure && (facts.listed || link === "open")) return ["gone", departure];
  if (link !== "open") return ["connecting", awaySentence(facts)];
  if (!camera) return ["connecting", "Connecting…"];
  const { state, reason, keyless } = camera;
  if (state === "waiting" && keyless) return ["waiting", KEYLESS];
  if (state === "waiting")
    return ["waiting", hadPicture ? "Waiting for the camera…" : "Not there yet."];
  if (state === "paused") return ["paused", PAUSED_BECAUSE[reason] || "Paused."];
  if (facts.hasTrack && facts.failure) return ["failed", facts.failure];
  if (facts.blocked) return ["connecting", "Tap the picture to start it."];
  const { pictureAt, heardAt } = facts.times;
  const late = facts.watched ? lateness(now - pictureAt, now - heardAt, facts.pace) : "";
  if (late === "late") return judgeSilence(facts, now);
  if (late === "waiting" && !keyless && hadPicture) {
    return ["connecting", "Waiting for the next picture…"];
  }
  if (facts.shows) return ["live", ""];
  if (keyless) return ["connecting", KEYLESS];
  return ["connecting", hadPicture ? "" : "Waiting for the first picture…"];
}

/** There is no connection, and it is not a matter of a moment.
 *  @param {Pick<Facts, "link" | "refusal">} facts @returns {boolean} */
export function isStranded({ link, refusal }) {
  const known = refusalOf(refusal) !== null || relay.away() !== null;
  return link !== "open" && known && !relay.restarting;
}

/** @param {Facts} facts @returns {string} */
function awaySentence({ link, refusal: told, wasOpen, filmed, small, short }) {
  const refusal = refusalOf(told);
  const away = relay.away();
  // A small tile has room for few words, and the page's banner has the rest.
  const isOld = filmed > 0 && Date.now() - filmed > OLD_PICTURE;
  const old = isOld ? ` ${small ? "Picture" : "This picture is"} from ${timeOf(filmed)}.` : "";
  if (away && short) return old.trim() || "No connection.";
  if (away) return `${awayWords(away)}.${old}`;
  if (relay.restarting) return "The relay is restarting…";
  if (refusal) {
    return `${concernsPage(refusal) ? "The relay refuses this page." : refusal.text}${old}`;
  }
  return wasOpen || link === "waiting" ? `No connection. Trying again…${old}` : "Connecting…";
}

/** Live, and yet no picture: who holds it back?
 *  @param {Facts} facts @param {number} now @returns {Verdict} */
function judgeSilence({ times, camera, engineRefusal, deviceBusy, busy }, now) {
  const seconds = (/** @type {number} */ since) => Math.floor((now - since) / 1000);
  const { pictureAt, heardAt, pongAt, filmedAt } = times;
  const slow = `This device is too busy: no picture for ${seconds(pictureAt)} s.`;
  if (now - heardAt > SILENT_AFTER && deviceBusy) return ["frozen", slow, "browser"];
  if (now - heardAt > SILENT_AFTER) {
    const silence = `No answer from the relay for ${seconds(heardAt)} s`;
    return ["frozen", `${silence}: this network stands still.`, "network"];
  }
  if (engineRefusal) return ["frozen", engineRefusal, "relay"];
  const late = pictureAt + PROOF;
  if (pongAt > late && (filmedAt < late || pongAt - filmedAt > SILENT_AFTER)) {
    return ["frozen", `The camera has sent nothing for ${seconds(filmedAt)} s.`, "camera"];
  }
  if (camera && camera.keyless) return ["frozen", KEYLESS, "camera"];
  if (times.slowFrom > pictureAt && busy) return ["frozen", slow, "browser"];
  if (times.slowFrom > pictureAt) {
    return ["frozen", "This network is too slow: pictures are left out.", "slow"];
  }
  if (times.receivedAt > late) {
    return ["frozen", `This browser has shown nothing for ${seconds(pictureAt)} s.`, "browser"];
  }
  // An answer that came through all that was sent before it, and no picture among that: its sound
  // may go on.
  if (pongAt > late + BEGINNING) {
    return ["frozen", `The camera has sent no picture for ${seconds(pictureAt)} s.`, "camera"];
  }
  return ["frozen", `No picture for ${seconds(pictureAt)} s.`, "unknown"];
}

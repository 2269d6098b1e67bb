// What the camera's page says about filming, in words: pure functions of a status (filming.js).

import { awayWords, causeWords, refusalWords } from "../../shared/relay/absence.js";

/** @typedef {import("../publish/filming.js").Status} Status */

/** What people call the codecs, by the beginning of their names. @type {Record<string, string>} */
const CODEC_WORDS = { vp8: "VP8", vp09: "VP9", avc1: "H.264" };

/**
 * Why no WebSocket came about, nobody here can know: it was refused, or swallowed on the way, or
 * this device was too slow.
 */
const SLOWER = "slower connection: no WebSocket";

/** @param {string} codec as WebCodecs names it @returns {string} */
export function codecWord(codec) {
  const family = codec.split(".")[0];
  return CODEC_WORDS[family] || family;
}

/**
 * @param {Status} status
 * @param {{news: string, width: number, height: number, byRequests: boolean, newer?: boolean}}
 *     facts news: what was done lately about something that stood still, or ""; width, height: of
 *     the picture, pixels; byRequests: ordinary requests carry everything, instead of a WebSocket
 * @returns {[string, string, string]} state for the colour, headline, detail
 */
export function statusWords(status, { news, width, height, byRequests, newer = false }) {
  const trying = "This page goes on trying.";
  const back = "It will be back in a moment, and filming goes on by itself.";
  const { state, away, refusal } = status;
  const off = state === "gone" || state === "connecting";
  if (off && away && away.moved)
    return ["gone", awayWords(away), "This page goes on trying to reach it there."];
  if (off && away) return ["gone", awayWords(away), `${trying} ${causeWords(away)}`];
  if (state === "gone" && status.restarting) return ["connecting", "The relay is restarting", back];
  if (off && refusal) return ["gone", "The relay refuses this page", refusalWords(refusal)];
  if (state === "connecting") return ["connecting", "Connecting", ""];
  if (state === "gone")
    return [
      "gone",
      "The relay does not answer",
      `${trying} Is the relay running, and is this device in its network?`,
    ];
  const wakes =
    "It wakes up as soon as somebody watches. If the screen is dark, a touch lights it.";
  if (status.state === "paused") {
    if (status.reason === "viewers")
      return [
        "paused",
        "Paused by the viewers",
        `${whoPauses(status)} Filming goes on as soon as it can.`,
      ];
    if (status.reason === "unwatched") return ["paused", "Asleep, nobody is watching", wakes];
    if (status.reason === "background")
      return ["paused", "Paused, page is hidden", "Come back to this page to go on."];
    return [
      "paused",
      "Paused, no picture",
      news || "A call or another app has the camera. It comes back by itself.",
    ];
  }
  if (status.failure) return ["gone", "The recorder does not work", status.failure];
  if (status.state === "starting") return ["connecting", "Starting", news];
  if (news) return ["live", "Live", news];
  const remarks = [status.slow ? slowWords(status, width, height) : numbers(status)];
  if (byRequests || status.transport === "http") remarks.push(SLOWER);
  if (status.mute) remarks.push("this browser cannot record sound");
  if (newer) remarks.push("there is a newer version of this page: reload it after filming");
  return ["live", "Live", remarks.join(" · ")];
}

/** @param {Status} status @returns {string} a sentence */
function whoPauses({ pause }) {
  const { by, votes, watching } = pause || { by: [], votes: 0, watching: 0 };
  if (votes > 1) return `${votes} of ${watching} viewers cannot keep up.`;
  return `${by[0] || "A viewer"} cannot keep up.`;
}

/** @param {Status} status @param {number} width @param {number} height */
function slowWords({ held, fps, bitsPerSecond }, width, height) {
  if (held) return "Slow network: waiting until it has caught up";
  const rate = fps === null ? "" : `${rateWords(fps)}, `;
  return `Slow network: ${width} × ${height}, ${rate}${bitRate(bitsPerSecond)}`;
}

/** @param {Status} status */
function numbers({ fps, bitsPerSecond }) {
  const rate = bitRate(bitsPerSecond);
  return fps === null ? rate : `${rateWords(fps)} · ${rate}`;
}

/**
 * @param {number} fps pictures per second
 * @returns {string} such as "30 pictures/s" or "1 picture in 5 s"
 */
export function rateWords(fps) {
  if (fps === 0) return "0 pictures/s";
  if (Math.round(1 / fps) > 1) return `1 picture in ${Math.round(1 / fps)} s`;
  return `${pictures(Math.max(1, Math.round(fps)))}/s`;
}

/** @param {Status} status @returns {string} empty while only the relay could know */
export function viewerWords({ state, viewers }) {
  if (state === "gone" || state === "connecting") return "";
  return viewers === 1 ? "1 viewer" : `${viewers} viewers`;
}

/**
 * What films, how fast, and what went wrong lately.
 * @param {Pick<Status, "encoder" | "codec" | "delay" | "dropped" | "remark"> & {begun: number}}
 *     facts dropped: lately; begun: how often something that stood still has begun afresh
 * @returns {string}
 */
export function encoderWords({ encoder, codec, delay, dropped, remark, begun }) {
  if (encoder === "") return "";
  const parts = [
    `Films with ${encoder === "codecs" ? `WebCodecs, ${codecWord(codec)}` : "the browser’s recorder"}`,
  ];
  if (delay !== null) parts.push(`${milliseconds(delay)} to encode a picture`);
  if (dropped.network > 0) parts.push(`network too slow for ${pictures(dropped.network)}`);
  if (dropped.encoder > 0) parts.push(`phone too busy for ${pictures(dropped.encoder)}`);
  if (begun > 0) parts.push(`begun afresh ${begun === 1 ? "once" : `${begun} times`}`);
  return (remark ? `${remark} ` : "") + parts.join(" · ");
}

/** @param {number} count @returns {string} */
export function pictures(count) {
  return count === 1 ? "1 picture" : `${count} pictures`;
}

/** @typedef {import("../lens/microphone.js").Hearing} Hearing */

/**
 * What the button for the microphone says, and a sentence.
 * @type {Record<Hearing, [string, string]>}
 */
export const SOUND_WORDS = {
  off: ["Microphone: off", ""],
  on: ["Microphone: on", ""],
  asking: ["Microphone: …", ""],
  refused: [
    "Microphone: not allowed",
    "The microphone is not allowed, so this camera films without sound.",
  ],
  missing: ["Microphone: none", "No microphone found, so this camera films without sound."],
  busy: [
    "Microphone: in use",
    "The microphone is in use elsewhere. This camera films without sound until it is free.",
  ],
  muted: [
    "Microphone: taken",
    "A call or the system has taken the microphone. This camera films without sound until it is given back.",
  ],
  silent: [
    "Microphone: silent",
    "The microphone gives only silence: not even noise. A call may use it, a switch or a setting of the phone may mute it, or it is broken.",
  ],
};

/** @param {number} ms @returns {string} such as 4.2 ms or 31 ms */
export function milliseconds(ms) {
  return `${ms < 9.5 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** @param {number} bitsPerSecond @returns {string} such as 640 kbit/s or 1.2 Mbit/s */
export function bitRate(bitsPerSecond) {
  return bitsPerSecond >= 995000
    ? `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`
    : `${Math.round(bitsPerSecond / 1000)} kbit/s`;
}

/** @param {number} ms @returns {string} such as 4:05 or 1:04:05 */
export function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(seconds % 60)}`
    : `${minutes}:${two(seconds % 60)}`;
}

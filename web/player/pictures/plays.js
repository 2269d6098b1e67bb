// What this browser plays, by families of codecs (docs/protocol.md, "What players play"): asked
// once for the page, with a profile of each that any camera can film. A camera may film with
// another one; then its track does not play, and the relay is told so.

import { familyOf } from "../../shared/relay/codec-families.js";
import { playsType } from "../engines/media-buffer.js";
import { SoundDecoder } from "../sound/sound-decoder.js";

/**
 * What browsers are asked for: the family, a codec string (RFC 6381), and the container in which
 * the relay sends it.
 */
const PICTURES = [
  ["vp8", "vp8", "video/webm"],
  ["vp9", "vp09.00.10.08", "video/webm"],
  ["av1", "av01.0.04M.08", "video/webm"],
  ["h264", "avc1.42E01F", "video/mp4"],
];
const SOUNDS = [
  ["opus", "opus", "audio/webm"],
  ["aac", "mp4a.40.2", "audio/mp4"],
];

/** Milliseconds for an answer: a player connects when it knows them. No answer is not a no. */
const ONE_ANSWER = 300;

/**
 * By the engine that plays them.
 * @type {Promise<{frames: string[], mse: string[], sound: string[]}> | null}
 */
let answers = null;

/** @param {string} codec @returns {Promise<boolean>} */
async function decodes(codec) {
  if (typeof VideoDecoder === "undefined") return false;
  try {
    return (await VideoDecoder.isConfigSupported({ codec })).supported === true;
  } catch (error) {
    return false;
  }
}

/** @param {string} codec @returns {Promise<boolean>} */
async function decodesSound(codec) {
  if (typeof AudioWorkletNode === "undefined") return false;
  return SoundDecoder.supports({
    type: "track",
    number: 2,
    kind: "audio",
    codec,
    mime: "",
    sampleRate: 48000,
    channels: 1,
  });
}

/**
 * @param {string[][]} list
 * @param {(codec: string, mime: string) => boolean | Promise<boolean>} ask
 * @returns {Promise<string[]>} families
 */
async function those(list, ask) {
  const late = new Promise((resolve) => {
    setTimeout(() => resolve(true), ONE_ANSWER);
  });
  const asked = list.map(async ([, codec, container]) =>
    ask(codec, `${container}; codecs="${codec}"`),
  );
  // A browser that throws does not.
  const found = await Promise.all(
    asked.map((answer) => Promise.race([answer.catch(() => false), late])),
  );
  return list.filter((_, index) => found[index]).map(([family]) => family);
}

async function askAll() {
  const [frames, mse, sound] = await Promise.all([
    those(PICTURES, decodes),
    those(PICTURES, (_, mime) => playsType(mime)),
    those(SOUNDS, async (codec, mime) => playsType(mime) || decodesSound(codec)),
  ]);
  return { frames, mse, sound };
}

/**
 * @param {string | null} engine the only one that may play the pictures (tile.js)
 * @returns {Promise<string[]>} families
 */
export async function playable(engine) {
  if (!answers) answers = askAll();
  const { frames, mse, sound } = await answers;
  const pictures = PICTURES.map(([family]) => family).filter(
    (family) =>
      (frames.includes(family) && engine !== "mse") ||
      (mse.includes(family) && engine !== "frames"),
  );
  return engine === "jpeg" ? sound : [...pictures, ...sound];
}

/**
 * Whether there are pictures of another family.
 * @param {string[]} plays
 * @param {string} codec of the camera's
 */
export function playsOthers(plays, codec) {
  return PICTURES.some(([family]) => family !== familyOf(codec) && plays.includes(family));
}

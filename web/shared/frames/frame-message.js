// Reads any frame message of docs/protocol.md, whichever container its track has.

import { isMp4Frame, readMp4Frame } from "./mp4-frame.js";
import { isWebmFrame, readWebmFrame } from "./webm-frame.js";

/**
 * @param {ArrayBuffer} message
 * @returns {import("./webm-frame.js").Frame}
 * @throws {Error} when it is no frame message
 */
export function readFrame(message) {
  if (isWebmFrame(message)) return readWebmFrame(message);
  if (isMp4Frame(message)) return readMp4Frame(message);
  throw new Error("Frame message: neither WebM nor MP4");
}

/** @param {string} text base64 @returns {Uint8Array} */
export function bytesOfBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

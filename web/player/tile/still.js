// One picture of a tile as a JPEG file: upright, in its true shape, with the time at which it was
// filmed.

import { localParts, withTime } from "./exif.js";
import { drawSeen, seenSize } from "../engines/pose.js";

/** Of the JPEG: as good as what cameras send. */
const QUALITY = 0.92;

/**
 * Milliseconds for which the file can be had: some browsers ask the person first where to put it.
 */
const KEPT_FOR = 120000;

/**
 * @param {string} name of the camera
 * @param {number} filmed ms since the epoch
 * @returns {string} such as porch_2026-11-29_14-03-07.jpg, in
 * this device's time; file systems take no colons
 */
export function fileName(name, filmed) {
  const { day, time } = localParts(filmed);
  return `${name}_${day.join("-")}_${time.join("-")}.jpg`;
}

/**
 * @param {HTMLVideoElement | HTMLCanvasElement} element that shows it
 * @param {number} filmed ms since the epoch
 * @returns {Promise<Blob>}
 * @throws {Error} it shows nothing, or the browser cannot write it
 */
export async function stillOf(element, filmed) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, seenSize(element));
  const pen = canvas.getContext("2d", { alpha: false });
  if (!pen || !(canvas.width > 0 && canvas.height > 0)) throw new Error("there is no picture");
  drawSeen(pen, element); // before anything is waited for: it is of now, as its time is
  /** @type {Blob | null} */
  const plain = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  const still = plain && withTime(await new Response(plain).arrayBuffer(), filmed);
  if (!still) throw new Error("the browser writes no JPEG");
  return still;
}

/** Gives a file to the person, as a download. @param {Blob} file @param {string} name */
export function hand(file, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  document.body.append(link); // Firefox follows no link that is nowhere
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_FOR);
}

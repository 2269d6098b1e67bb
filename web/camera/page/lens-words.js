// What a lens is called, by what the browser calls it: "camera2 1, facing front", "Back Ultra Wide
// Camera", "HD Webcam (046d:0825)".

import { isolated } from "../../shared/page/camera-name.js";

/** Characters of a lens's own name: more does not stand on a button. */
const LONGEST = 32;

/** As Android's browsers write it, in English everywhere. */
const FACING = /\bfacing (back|front)\b/;

/** What some browsers add: the numbers of maker and model. */
const USB_NUMBERS = /\s*\([0-9a-f]{4}:[0-9a-f]{4}\)$/i;

/**
 * @param {string[]} labels of all lenses of this device, "" for what is not told
 * @param {number} index of one of them
 * @returns {string} for the middle of a sentence
 */
export function lensName(labels, index) {
  const label = (labels[index] || "").replace(USB_NUMBERS, "").trim();
  const side = FACING.exec(label);
  if (!side)
    return label
      ? `“${isolated(label.slice(0, LONGEST))}”`
      : `lens ${index + 1} of ${labels.length}`;
  const same = labels.filter((one) => one.includes(side[0]));
  return `the ${side[1]} lens${same.length > 1 ? ` ${same.indexOf(labels[index]) + 1}` : ""}`;
}

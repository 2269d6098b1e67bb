// How a decoded picture is shown (docs/protocol.md, "How a picture is shown"): no engine turns it, the tile turns the element that shows it.
// What browsers know of pixels that are not square comes with the stream, so an element has the right shape before it is turned.

/** @typedef {import("./types.js").TrackMessage} TrackMessage */

/** @param {TrackMessage} track @returns {string} what turns its pictures, as CSS has it, "" for nothing */
export function turnOf({ rotation, flip }) {
  // Of what stands in a row, the last one comes first: a picture is rotated, then mirrored.
  return [...(flip ? ["scaleX(-1)"] : []), ...(rotation ? [`rotate(${rotation}deg)`] : [])].join(" ");
}

/**
 * The size in which a picture is seen: in square pixels, and turned.
 * @param {TrackMessage} track
 * @param {number} width of what its decoder gives @param {number} height
 * @returns {{width: number, height: number}}
 */
export function sizeOf({ rotation, displayWidth, displayHeight }, width, height) {
  const size = displayWidth && displayHeight ? { width: displayWidth, height: displayHeight } : { width, height };
  return isAside(rotation) ? { width: size.height, height: size.width } : size;
}

/**
 * Turns the element that shows the pictures, within what holds it: `--width` and `--height` are that one's.
 * @param {HTMLElement} element
 * @param {TrackMessage} track
 */
export function turn(element, track) {
  const { style } = element;
  const aside = isAside(track.rotation);
  style.width = aside ? "var(--height)" : "";
  style.height = aside ? "var(--width)" : "";
  style.left = style.top = aside ? "50%" : "";
  style.transform = `${aside ? "translate(-50%, -50%) " : ""}${turnOf(track)}`;
}

/** @param {number | undefined} rotation @returns {boolean} whether it lies on its side */
function isAside(rotation) {
  return (rotation || 0) % 180 !== 0;
}

// How a decoded picture is shown (docs/protocol.md, "How a picture is shown"): no engine turns it,
// the tile turns the element that shows it. What browsers know of pixels that are not square comes
// with the stream, so an element has the right shape before it is turned.

/** @typedef {import("../../shared/types.js").TrackMessage} TrackMessage */

/** What shows pictures, and may be drawn. @typedef {HTMLVideoElement | HTMLCanvasElement} Shown */

/** The tracks by which elements are turned. @type {WeakMap<Element, TrackMessage>} */
const turnedBy = new WeakMap();

/**
 * @param {TrackMessage} track
 * @returns {string} what turns its pictures, as CSS has it, "" for nothing
 */
export function turnOf({ rotation, flip }) {
  // Of what stands in a row, the last one comes first: a picture is rotated, then mirrored.
  return [...(flip ? ["scaleX(-1)"] : []), ...(rotation ? [`rotate(${rotation}deg)`] : [])].join(
    " ",
  );
}

/**
 * The size in which a picture is seen: in square pixels, and turned.
 * @param {TrackMessage} track
 * @param {number} width of what its decoder gives @param {number} height
 * @returns {{width: number, height: number}}
 */
export function sizeOf({ rotation, displayWidth, displayHeight }, width, height) {
  const size =
    displayWidth && displayHeight
      ? { width: displayWidth, height: displayHeight }
      : { width, height };
  return isAside(rotation) ? { width: size.height, height: size.width } : size;
}

/**
 * Turns the element that shows the pictures, within what holds it: `--width` and `--height` are
 * that one's.
 * @param {HTMLElement} element
 * @param {TrackMessage} track
 */
export function turn(element, track) {
  turnedBy.set(element, track);
  const { style } = element;
  const aside = isAside(track.rotation);
  style.width = aside ? "var(--height)" : "";
  style.height = aside ? "var(--width)" : "";
  style.left = style.top = aside ? "50%" : "";
  style.transform = `${aside ? "translate(-50%, -50%) " : ""}${turnOf(track)}`;
}

/** @param {Element} element @returns {boolean} whether its own pixels are not yet what is seen */
export function isTurned(element) {
  const track = turnedBy.get(element);
  return track !== undefined && turnOf(track) !== "";
}

/**
 * @param {Shown} element
 * @returns {{width: number, height: number}} of the pixels that it has now, not turned yet; 0 for
 *   none
 */
function pixelsOf(element) {
  if (!(element instanceof HTMLVideoElement))
    return { width: element.width, height: element.height };
  const has = element.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  return has ? { width: element.videoWidth, height: element.videoHeight } : { width: 0, height: 0 };
}

/**
 * @param {Shown} element
 * @returns {{width: number, height: number}} of its picture as it is seen, in its own pixels; 0 for
 *   none
 */
export function seenSize(element) {
  const { width, height } = pixelsOf(element);
  const { rotation = 0 } = turnedBy.get(element) || {};
  return isAside(rotation) ? { width: height, height: width } : { width, height };
}

/** Draws the picture of an element as it is seen, as large as all of the canvas allows.
 *  @param {CanvasRenderingContext2D} pen @param {Shown} element */
export function drawSeen(pen, element) {
  const { rotation = 0, flip = false } = turnedBy.get(element) || {};
  const { width, height } = pixelsOf(element);
  const seen = seenSize(element);
  const scale = Math.min(pen.canvas.width / seen.width, pen.canvas.height / seen.height);
  if (!(scale > 0 && scale < Infinity)) return;
  pen.save();
  pen.translate(pen.canvas.width / 2, pen.canvas.height / 2);
  // As in CSS (turnOf): the last one comes first.
  if (flip) pen.scale(-1, 1);
  pen.rotate((rotation * Math.PI) / 180);
  pen.drawImage(
    element,
    (-width * scale) / 2,
    (-height * scale) / 2,
    width * scale,
    height * scale,
  );
  pen.restore();
}

/** @param {number | undefined} rotation @returns {boolean} whether it lies on its side */
function isAside(rotation) {
  return (rotation || 0) % 180 !== 0;
}

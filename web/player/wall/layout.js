// Where the tiles of a wall stand. Rows of one height each, every tile as wide as its picture asks
// for: no bars beside portrait pictures.

/** Pixels between two tiles. */
const GAP = 8;

/**
 * Pixels at the usual size of letters: what a tile needs so that its name is not cut. Either the
 * name stands beside two buttons, or, in a tile that is high enough, above them. Where all tiles
 * together need more than there is, the wall scrolls.
 */
const LEAST_WIDTH = 224;
const LEAST_NARROW_WIDTH = 140;
const LEAST_NARROW_HEIGHT = 200;
const LEAST_HEIGHT = 112;

/**
 * Width over height of a tile: beyond these the picture gets bars, or it would make its row too
 * high or too low.
 */
const NARROWEST = 0.7;
const WIDEST = 2;

/** Pixels. @typedef {{left: number, top: number, width: number, height: number}} Place */

/** @param {number[]} numbers @returns {number} */
function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/**
 * Puts the tiles into rows, in order, so that the rows are as equally full as can be (least sum of
 * squares).
 * @param {number[]} aspects
 * @returns {number[][][]} the aspects of each row: with one row, with two, and so on up to one for
 *   each tile
 */
function intoRows(aspects) {
  const total = [0]; // of the first n
  for (const aspect of aspects) total.push(total[total.length - 1] + aspect);
  /**
   * The cost of the first n tiles in the rows so far, and for each number of rows where the last
   * one begins.
   */
  let costs = total.map((_, end) => (end === 0 ? 0 : Infinity));
  /** @type {number[][]} */
  const begins = [];
  return aspects.map(() => {
    const before = costs;
    /** @type {number[]} */
    const starts = [];
    costs = total.map((_, end) => {
      let least = Infinity;
      for (let start = 0; start < end; start += 1) {
        const cost = before[start] + (total[end] - total[start]) ** 2;
        if (cost >= least) continue;
        least = cost;
        starts[end] = start;
      }
      return least;
    });
    begins.push(starts);
    /** @type {number[][]} */
    const rows = [];
    let end = aspects.length;
    for (let row = begins.length - 1; row >= 0; row -= 1) {
      rows.unshift(aspects.slice(begins[row][end], end));
      end = begins[row][end];
    }
    return rows;
  });
}

/**
 * The least height at which a tile has room for its words.
 * @param {number} aspect
 * @returns {number}
 */
function leastHeight(aspect) {
  const narrow = Math.max(LEAST_NARROW_HEIGHT, LEAST_NARROW_WIDTH / aspect);
  return Math.max(LEAST_HEIGHT, Math.min(LEAST_WIDTH / aspect, narrow));
}

/**
 * full: the heights of rows that fill the width; least: those at which their words have room;
 * share: of `full`, with which all can be seen at once; fits: that is enough for the words;
 * legible: `full` is; area: of all tiles with this share, square pixels
 * @typedef {{rows: number[][], full: number[], least: number[], share: number, fits: boolean,
 *   legible: boolean, area: number}} Arrangement
 */

/**
 * @param {number[][]} rows aspects
 * @param {number} width
 * @param {number} height
 * @param {number} text see `placeTiles`
 * @returns {Arrangement}
 */
function arrange(rows, width, height, text) {
  const full = rows.map((row) => Math.max(0, width - GAP * (row.length - 1)) / sum(row));
  const least = rows.map((row) => Math.max(...row.map(leastHeight)) * text);
  const room = Math.max(0, height - GAP * (rows.length - 1));
  const share = Math.min(1, room / sum(full));
  const fits = full.every((rowHeight, index) => rowHeight * share >= least[index]);
  const legible = full.every((rowHeight, index) => rowHeight >= least[index]);
  const area = sum(rows.map((row, index) => (full[index] * share) ** 2 * sum(row)));
  return { rows, full, least, share, fits, legible, area };
}

/**
 * The heights of rows of which not all can be seen at once: none is higher than the lowest one or
 * than the wall, except for its words.
 * @param {Arrangement} arrangement
 * @param {number} height of the wall
 * @returns {number[]}
 */
function scrolled({ full, least }, height) {
  const usual = Math.min(height, ...full);
  return full.map((rowHeight, index) => Math.min(rowHeight, Math.max(usual, least[index])));
}

/**
 * @param {number[]} aspects
 * @param {number} width
 * @param {number} height
 * @param {number} text see `placeTiles`
 * @returns {Arrangement[]}
 */
function arrangements(aspects, width, height, text) {
  const shapes = aspects.map((aspect) => Math.min(WIDEST, Math.max(NARROWEST, aspect)));
  return intoRows(shapes).map((rows) => arrange(rows, width, height, text));
}

/**
 * Whether all can be seen at once.
 * @param {number[]} aspects
 * @param {number} width
 * @param {number} height
 * @param {number} text see `placeTiles`
 */
export function haveRoom(aspects, width, height, text) {
  const least =
    Math.min(LEAST_WIDTH * LEAST_HEIGHT, LEAST_NARROW_WIDTH * LEAST_NARROW_HEIGHT) * text * text;
  if (aspects.length * least > width * height) return false; // found out without trying
  return arrangements(aspects, width, height, text).some(({ fits }) => fits);
}

/**
 * Chooses the rows with which the pictures come out largest. Where not all can be seen at once, as
 * many as can be are.
 * @param {number[]} aspects width over height of each picture
 * @param {number} width of the wall, pixels
 * @param {number} height of the wall, pixels
 * @param {number} [text] by how much letters are larger than usual
 * @param {number} [aside] so many of the last ones make way for the others: they are as small as
 *     their words allow, and stand below. The first row of them is seen without scrolling if there
 *     is room.
 * @returns {Place[]} one for each picture, relative to the wall; they end below `height` only where
 *   not all can be seen at once
 */
export function placeTiles(aspects, width, height, text = 1, aside = 0) {
  const first = aspects.length - aside;
  if (aside === 0 || first === 0) return place(aspects, width, height, text);
  const below = place(aspects.slice(first), width, 0, text);
  const room = Math.max(height / 2, height - below[0].height - GAP);
  const above = place(aspects.slice(0, first), width, room, text);
  const end = Math.max(room, ...above.map((one) => one.top + one.height)) + GAP;
  return [...above, ...below.map((one) => ({ ...one, top: one.top + end }))];
}

/**
 * @param {number[]} aspects
 * @param {number} width
 * @param {number} height
 * @param {number} text see `placeTiles`
 * @returns {Place[]}
 */
function place(aspects, width, height, text) {
  if (aspects.length === 0) return [];
  const all = arrangements(aspects, width, height, text);
  const [fitting] = all.filter(({ fits }) => fits).sort((one, other) => other.area - one.area);
  // Fewer rows are lower ones.
  const best = fitting || all.find(({ legible }) => legible) || all[all.length - 1];
  const heights = fitting
    ? best.full.map((rowHeight) => rowHeight * best.share)
    : scrolled(best, height);
  const used = sum(heights) + GAP * (heights.length - 1);
  let top = Math.max(0, (height - used) / 2);
  /** @type {Place[]} */
  const places = [];
  best.rows.forEach((row, index) => {
    const rowHeight = heights[index];
    let left = (width - sum(row) * rowHeight - GAP * (row.length - 1)) / 2;
    for (const aspect of row) {
      places.push({ left, top, width: aspect * rowHeight, height: rowHeight });
      left += aspect * rowHeight + GAP;
    }
    top += rowHeight + GAP;
  });
  return places;
}

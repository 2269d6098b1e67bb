// Where the tiles of a wall stand. Rows of one height each, every tile as wide as its picture asks for: no bars beside portrait pictures.

/** Pixels between two tiles. */
const GAP = 8;

/** Pixels: the least that has room for words and a button. Where all tiles together need more than there is, the wall scrolls. */
const LEAST_WIDTH = 120;
const LEAST_HEIGHT = 96;

/** Width over height of a tile: beyond these the picture gets bars, or it would make its row too high or too low. */
const NARROWEST = 0.7;
const WIDEST = 2;

/** What the area of a row counts that is too low for its words. */
const CRAMPED = 0.25;

/** Pixels. @typedef {{left: number, top: number, width: number, height: number}} Place */

/** @param {number[]} numbers @returns {number} */
function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/**
 * Puts the tiles into rows, in order, so that the rows are as equally full as can be (least sum of squares).
 * @param {number[]} aspects
 * @returns {number[][][]} the aspects of each row: with one row, with two, and so on up to one for each tile
 */
function intoRows(aspects) {
  const total = [0]; // of the first n
  for (const aspect of aspects) total.push(total[total.length - 1] + aspect);
  /** The cost of the first n tiles in the rows so far, and for each number of rows where the last one begins. */
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
 * @param {number[][]} rows aspects @param {number} width @param {number} height
 * @returns {{area: number, rows: number[][], heights: number[]}} area: what is seen of it without scrolling, square pixels
 */
function arrange(rows, width, height) {
  const full = rows.map((row) => (width - GAP * (row.length - 1)) / sum(row));
  const room = height - GAP * (rows.length - 1);
  const scale = Math.min(1, Math.max(room / sum(full), LEAST_HEIGHT / Math.min(...full)));
  const heights = full.map((rowHeight) => rowHeight * scale);
  const areas = rows.map((row, index) => heights[index] ** 2 * sum(row) * (heights[index] < LEAST_HEIGHT ? CRAMPED : 1));
  return { area: sum(areas) * Math.min(1, Math.max(0, room) / sum(heights)), rows, heights };
}

/**
 * Chooses the number of rows with which the pictures come out largest.
 * @param {number[]} aspects width over height of each picture
 * @param {number} width of the wall, pixels
 * @param {number} height of the wall, pixels
 * @returns {Place[]} one for each picture, relative to the wall; they end below `height` only where not all can be seen at once
 */
export function placeTiles(aspects, width, height) {
  const shapes = aspects.map((aspect) => Math.min(WIDEST, Math.max(NARROWEST, aspect)));
  /** @type {{area: number, rows: number[][], heights: number[]}} */
  let best = { area: -1, rows: [], heights: [] };
  for (const rows of intoRows(shapes)) {
    // The last way, one tile in each row, is there for all.
    if (rows.length < shapes.length && rows.some((row) => row.length * (LEAST_WIDTH + GAP) - GAP > width)) continue;
    const arranged = arrange(rows, width, height);
    // A tile too narrow for its words takes room from its row; only the first result tells which ones are.
    const widened = arranged.rows.map((row, index) => row.map((aspect) => Math.max(aspect, LEAST_WIDTH / arranged.heights[index])));
    const final = arrange(widened, width, height);
    if (final.area > best.area) best = final;
  }
  const used = sum(best.heights) + GAP * (best.heights.length - 1);
  let top = Math.max(0, (height - used) / 2);
  /** @type {Place[]} */
  const places = [];
  best.rows.forEach((row, index) => {
    const rowHeight = best.heights[index];
    let left = (width - sum(row) * rowHeight - GAP * (row.length - 1)) / 2;
    for (const aspect of row) {
      places.push({ left, top, width: aspect * rowHeight, height: rowHeight });
      left += aspect * rowHeight + GAP;
    }
    top += rowHeight + GAP;
  });
  return places;
}

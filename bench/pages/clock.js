// The painted clock: the time of painting as large black and white cells in the picture itself, so
// that it survives any encoder, any network and any player, and is read back from the pixels that
// are really shown.
//
//   PaintedClock.paint(pen, width, height)     paints the present time over the top of a picture,
//                                              and the flash into its corner
//   PaintedClock.read(surface, width, height)  {painted, flash} of a canvas or video: the painted
//                                              time (ms), the flash is on; or null
//   PaintedClock.cells(surface, width, height) the same in two steps: the luminances of the cells
//   and of the flash,
//   PaintedClock.decode(cells)                 and what they say
//   PaintedClock.now()                         the clock that is painted, in ms: the same in all
//                                              pages of a browser (but see viewer.js, skew)
//   PaintedClock.until(painted, moment)        ms from a painted time to a moment of now()
//   PaintedClock.FLASH_PERIOD                  ms from one flash to the next
//
// Two rows of 16 cells over the full width, 1/12 of the height each (40x40 pixels at 640x480). Bits
// from left to right, highest first: 24 bits of time in tenths of a millisecond (it wraps after 28
// minutes), then 8 check bits.
//
// The flash is a patch at the bottom right, a fifth of the width and of the height: white in the
// first 100 ms of each second of now(), else black. With each second begins a beep, too (scene.js),
// so the difference between what is seen and what is heard can be measured.

self.PaintedClock = (() => {
  const COLUMNS = 16;
  const ROWS = 2;
  const ROW_HEIGHT = 1 / 12; // of the picture
  const TIME_BITS = 24;
  const CELLS = COLUMNS * ROWS;

  /** Units of painted time in a millisecond. */
  const UNITS = 10;
  const WRAP = 2 ** TIME_BITS / UNITS;

  /**
   * Each cell is read from a patch of so many pixels a side, of which the outermost do not count:
   * an encoder smears edges.
   */
  const PATCH = 4;

  /**
   * Of the picture's width and height. Larger, and the encoder would have less to do: black is
   * easy.
   */
  const FLASH_SIDE = 1 / 5;

  /**
   * Milliseconds: the flash comes once in so long, and stays for so long, which is three pictures.
   */
  const FLASH_PERIOD = 1000;
  const FLASH_LENGTH = 100;

  /**
   * Luminance (0 to 255): darker is black, lighter is white, and between them a cell cannot be
   * read.
   */
  const BLACK = 96;
  const WHITE = 160;

  const patches = document.createElement("canvas");
  patches.width = COLUMNS * PATCH;
  patches.height = (ROWS + 1) * PATCH; // the flash is below the clock
  const patchPen = patches.getContext("2d", { alpha: false, willReadFrequently: true });

  /**
   * CRC-8 (polynomial x^8 + x^2 + x + 1), begun with 255 so that a black picture is no clock.
   * @param {number} value 24 bits
   */
  function check(value) {
    let crc = 255;
    for (const byte of [value >>> 16, (value >>> 8) & 255, value & 255]) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 128 ? ((crc << 1) ^ 7) & 255 : crc << 1;
    }
    return crc;
  }

  const now = () => performance.timeOrigin + performance.now();

  /** @param {CanvasRenderingContext2D} pen @param {number} width @param {number} height */
  function paint(pen, width, height) {
    const moment = now();
    const time = Math.floor((moment % WRAP) * UNITS);
    const bits = [
      ...time.toString(2).padStart(TIME_BITS, "0"),
      ...check(time)
        .toString(2)
        .padStart(CELLS - TIME_BITS, "0"),
    ];
    bits.forEach((bit, index) => {
      const left = Math.round(((index % COLUMNS) * width) / COLUMNS);
      const right = Math.round((((index % COLUMNS) + 1) * width) / COLUMNS);
      const row = Math.floor(index / COLUMNS);
      const top = Math.round(row * ROW_HEIGHT * height);
      const bottom = Math.round((row + 1) * ROW_HEIGHT * height);
      pen.fillStyle = bit === "1" ? "#fff" : "#000";
      pen.fillRect(left, top, right - left, bottom - top);
    });
    pen.fillStyle = moment % FLASH_PERIOD < FLASH_LENGTH ? "#fff" : "#000";
    pen.fillRect(
      width * (1 - FLASH_SIDE),
      height * (1 - FLASH_SIDE),
      width * FLASH_SIDE,
      height * FLASH_SIDE,
    );
  }

  /**
   * @param {Uint8ClampedArray} pixels of the patches
   * @param {number} cell
   * @returns {number} mean luminance of its middle
   */
  function luminance(pixels, cell) {
    let sum = 0;
    for (let y = 1; y < PATCH - 1; y += 1) {
      for (let x = 1; x < PATCH - 1; x += 1) {
        const at =
          4 *
          ((Math.floor(cell / COLUMNS) * PATCH + y) * patches.width + (cell % COLUMNS) * PATCH + x);
        sum += pixels[at] * 0.299 + pixels[at + 1] * 0.587 + pixels[at + 2] * 0.114; // ITU-R BT.601
      }
    }
    return sum / (PATCH - 2) ** 2;
  }

  /**
   * @param {CanvasImageSource} surface
   * @param {number} width
   * @param {number} height of the whole picture
   * @returns {number[]} 0 to 255
   */
  function cells(surface, width, height) {
    patchPen.drawImage(
      surface,
      0,
      0,
      width,
      height * ROW_HEIGHT * ROWS,
      0,
      0,
      patches.width,
      ROWS * PATCH,
    );
    const corner = [
      width * (1 - FLASH_SIDE),
      height * (1 - FLASH_SIDE),
      width * FLASH_SIDE,
      height * FLASH_SIDE,
    ];
    patchPen.drawImage(surface, ...corner, 0, ROWS * PATCH, PATCH, PATCH);
    const pixels = patchPen.getImageData(0, 0, patches.width, patches.height).data;
    return Array.from({ length: CELLS + 1 }, (_, cell) => luminance(pixels, cell));
  }

  /** @param {number[]} lights from `cells` @returns {{painted: number, flash: boolean} | null} */
  function decode(lights) {
    let value = 0;
    for (const light of lights.slice(0, CELLS)) {
      if (light > BLACK && light < WHITE) return null;
      value = value * 2 + (light >= WHITE ? 1 : 0);
    }
    const time = Math.floor(value / 2 ** (CELLS - TIME_BITS));
    if (check(time) !== value % 2 ** (CELLS - TIME_BITS)) return null;
    return { painted: time / UNITS, flash: lights[CELLS] >= WHITE };
  }

  /**
   * @param {CanvasImageSource} surface
   * @param {number} width
   * @param {number} height of the whole picture
   */
  const read = (surface, width, height) => decode(cells(surface, width, height));

  /** @param {number} painted @param {number} moment of now() */
  const until = (painted, moment) => ((moment % WRAP) - painted + WRAP) % WRAP;

  return { paint, read, cells, decode, now, until, FLASH_PERIOD };
})();

// The time at which a picture was taken, in a JPEG file (Exif 2.32, JEITA CP-3451E; TIFF 6.0):
// programs that sort pictures by time read it there.

/** Tags and types of TIFF and Exif. */
const EXIF_IFD = 0x8769;
const EXIF_VERSION = 0x9000;
const DATE_TIME_ORIGINAL = 0x9003;
const OFFSET_TIME_ORIGINAL = 0x9011;
const SUB_SEC_TIME_ORIGINAL = 0x9291;
const ASCII = 2;
const LONG = 4;
const UNDEFINED = 7;

/** Bytes of an entry of a directory, and of a value that stands in it. */
const ENTRY = 12;
const INLINE = 4;

/** Bytes from the start of the TIFF header to the first directory. */
const FIRST = 8;

/** Markers of JPEG (ITU-T T.81, table B.1). */
const SOI = 0xffd8;
const APP0 = 0xffe0;
const APP1 = 0xffe1;

/** @param {number} number @param {number} [digits] @returns {string} */
function padded(number, digits = 2) {
  return String(number).padStart(digits, "0");
}

/**
 * @param {number} moment ms since the epoch
 * @returns {{day: string[], time: string[]}} year, month and day; hours, minutes and seconds: of
 * this device's time
 */
export function localParts(moment) {
  const date = new Date(moment);
  return {
    day: [padded(date.getFullYear(), 4), padded(date.getMonth() + 1), padded(date.getDate())],
    time: [padded(date.getHours()), padded(date.getMinutes()), padded(date.getSeconds())],
  };
}

/**
 * @param {number} moment ms since the epoch
 * @returns {string} of this device's time from UTC, such as +01:00
 */
function offsetOf(moment) {
  const minutes = -new Date(moment).getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `${minutes < 0 ? "-" : "+"}${padded(hours)}:${padded(rest)}`;
}

/**
 * @param {[tag: number, type: number, value: string | number][]} entries by rising tag
 * @param {number} start of the directory, bytes from the
 * TIFF header; a text ends with a zero byte, but where it is undefined
 * @returns {Uint8Array} the directory, and behind it what has no room in it
 */
function directory(entries, start) {
  const head = 2 + entries.length * ENTRY + 4;
  const texts = entries.map(([, type, value]) =>
    typeof value === "number" ? "" : type === ASCII ? `${value}\0` : value,
  );
  // Values begin at even offsets.
  const outside = texts.map((text) => (text.length > INLINE ? text.length + (text.length % 2) : 0));
  const bytes = new Uint8Array(head + outside.reduce((sum, length) => sum + length, 0));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, entries.length);
  let free = head;
  entries.forEach(([tag, type, value], index) => {
    const at = 2 + index * ENTRY;
    view.setUint16(at, tag);
    view.setUint16(at + 2, type);
    view.setUint32(at + 4, typeof value === "number" ? 1 : texts[index].length);
    if (typeof value === "number") return view.setUint32(at + 8, value);
    if (outside[index] > 0) view.setUint32(at + 8, start + free);
    const place = outside[index] > 0 ? free : at + 8;
    for (let position = 0; position < texts[index].length; position += 1)
      bytes[place + position] = texts[index].charCodeAt(position);
    free += outside[index];
  });
  return bytes;
}

/**
 * @param {number} moment ms since the epoch
 * @returns {Uint8Array<ArrayBuffer>} the whole segment APP1
 */
function segment(moment) {
  const { day, time } = localParts(moment);
  const pointer = directory([[EXIF_IFD, LONG, FIRST + 2 + ENTRY + 4]], FIRST);
  const exif = directory(
    [
      [EXIF_VERSION, UNDEFINED, "0232"],
      [DATE_TIME_ORIGINAL, ASCII, `${day.join(":")} ${time.join(":")}`],
      [OFFSET_TIME_ORIGINAL, ASCII, offsetOf(moment)],
      [SUB_SEC_TIME_ORIGINAL, ASCII, padded(new Date(moment).getMilliseconds(), 3)],
    ],
    FIRST + pointer.length,
  );
  // "Exif", then TIFF with the highest byte first.
  const head = [0x45, 0x78, 0x69, 0x66, 0, 0, 0x4d, 0x4d, 0, 42, 0, 0, 0, FIRST];
  const length = 2 + head.length + pointer.length + exif.length;
  return new Uint8Array([
    APP1 >> 8,
    APP1 & 0xff,
    length >> 8,
    length & 0xff,
    ...head,
    ...pointer,
    ...exif,
  ]);
}

/**
 * @param {ArrayBuffer} jpeg a file without Exif, as browsers write it
 * @param {number} moment when it was taken, ms since the epoch
 * @returns {Blob | null} the same picture with its time; null if it is no JPEG
 */
export function withTime(jpeg, moment) {
  const view = new DataView(jpeg);
  if (jpeg.byteLength < 6 || view.getUint16(0) !== SOI) return null;
  // JFIF wants to be first.
  const behind = view.getUint16(2) === APP0 ? Math.min(jpeg.byteLength, 4 + view.getUint16(4)) : 2;
  return new Blob([jpeg.slice(0, behind), segment(moment), jpeg.slice(behind)], {
    type: "image/jpeg",
  });
}

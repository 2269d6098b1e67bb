// What people call their cameras, and the names that are made from it, as in docs/protocol.md.
// groundwork/names.py does the same.

const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;
const LONGEST_NAME = 32;

/** Code points of a label in NFC. */
export const LONGEST_LABEL = 40;

/**
 * Combining marks behind a letter: of accents, and of scripts that write vowels and parts of
 * letters so.
 */
const FEW_MARKS = 2;
const MANY_MARKS = 4;
// Devanagari to Sinhala, Tibetan and Myanmar, Khmer.
const MANY = /[\u0900-\u0dff\u0f00-\u109f\u1780-\u17ff]/;

const JOINERS = "\u200c\u200d";
const JOINED_FROM = "\u0590"; // Latin, Greek, Cyrillic and Armenian letters are never joined

const SPACES = " \\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000";
const OUTER_SPACES = new RegExp(`^[${SPACES}]+|[${SPACES}]+$`, "g");
const LOOSE_END = new RegExp(`[${SPACES}${JOINERS}]+$`);

/**
 * Makes a test for one code point. Firefox knows properties since 78; before, the most usual ones
 * will do.
 * @param {string} properties
 * @param {string} instead
 * @returns {RegExp}
 */
function kind(properties, instead) {
  try {
    return new RegExp(`^[${properties}]$`, "u");
  } catch (error) {
    return new RegExp(`^[${instead}]$`, "u");
  }
}

const CONTROLS =
  "\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ud800-\\udfff";
const ACCENTS = "\\u0300-\\u036f\\u20d0-\\u20ff\\ufe00-\\ufe0f";
const PUNCTUATION =
  "\\u00a1\\u00a7\\u00ab\\u00b6\\u00b7\\u00bb\\u00bf\\u2000-\\u206f\\u3000-\\u3003\\u3008-\\u3011";
const UNSEEN = kind("\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}", CONTROLS);
const MARK = kind("\\p{M}", ACCENTS);
const SLIGHT = kind("\\p{M}\\p{P}\\p{Z}\\p{Cc}\\p{Cf}\\p{Cs}", CONTROLS + ACCENTS + PUNCTUATION);

/** @param {string} text @returns {boolean} */
export function isName(text) {
  return NAME.test(text);
}

/**
 * The name that a person means: "Front Door" is front-door. "" for what is none. Where more is lost
 * than accents, spaces and punctuation, four digits tell it from other such names.
 * @param {string} text
 * @returns {string}
 */
export function nameOf(text) {
  const plain = text.normalize("NFD"); // é is e and an accent, which goes
  const name = plain
    .replace(/[\s_.]+/g, "-")
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, "")
    .replace(/^-+/, "");
  if (![...plain].some(isLost)) return name.slice(0, LONGEST_NAME).replace(/-+$/, "");
  const digits = `-${String(hash(labelOf(text)) % 10000).padStart(4, "0")}`;
  return (name.slice(0, LONGEST_NAME - digits.length).replace(/-+$/, "") || "camera") + digits;
}

/**
 * What is shown of a text: without what cannot be seen, or would disturb what stands beside it. It
 * may be empty.
 * @param {string} text
 * @returns {string}
 */
export function labelOf(text) {
  const seen = [...text.normalize("NFC")].filter(
    (one) => JOINERS.includes(one) || !UNSEEN.test(one),
  );
  const joined = seen.filter((one, at) => !JOINERS.includes(one) || joins(seen, at));
  const label = fewMarks([...joined.join("").normalize("NFC")])
    .join("")
    .replace(OUTER_SPACES, "");
  return [...label].slice(0, LONGEST_LABEL).join("").replace(LOOSE_END, "");
}

/**
 * The text, cut where a label ends.
 * @param {string} text
 * @returns {string} the same one where it is short enough
 */
export function cutToLabel(text) {
  const whole = [...text.normalize("NFC")];
  return whole.length > LONGEST_LABEL ? whole.slice(0, LONGEST_LABEL).join("") : text;
}

/**
 * A label for the middle of a sentence: one that is written from the right leaves the order of the
 * other words as it is (UAX #9).
 * @param {string} label
 * @returns {string}
 */
export function isolated(label) {
  return /^[\x20-\x7e]*$/.test(label) ? label : `\u2068${label}\u2069`;
}

/** A name nobody else has chosen, so that one touch is enough. */
export function freshName() {
  return `camera-${1000 + Math.floor(Math.random() * 9000)}`;
}

/**
 * @param {string} one code point
 * @returns {boolean} whether it is a letter, digit or symbol that no name contains
 */
function isLost(one) {
  return one > "\x7f" ? !SLIGHT.test(one) : "$+<=>^`|~".includes(one);
}

/**
 * @param {string[]} seen
 * @param {number} at of a joiner
 * @returns {boolean} whether it joins, or ends a letter, as in older Malayalam
 */
function joins(seen, at) {
  const before = seen[at - 1] || "";
  return isJoined(before) && (isJoined(seen[at + 1] || "") || MARK.test(before));
}

/** @param {string} one @returns {boolean} */
function isJoined(one) {
  return one >= JOINED_FROM && !JOINERS.includes(one) && one.replace(OUTER_SPACES, "") !== "";
}

/**
 * @param {string[]} text code points
 * @returns {string[]} without the marks that are too many for one letter
 */
function fewMarks(text) {
  let first = "";
  let marks = 0;
  return text.filter((one) => {
    if (!MARK.test(one)) {
      marks = 0;
      return true;
    }
    if (marks === 0) first = one;
    marks += 1;
    return marks <= (MANY.test(first) ? MANY_MARKS : FEW_MARKS);
  });
}

/** FNV-1a with 32 bits, of the text in UTF-8. @param {string} text @returns {number} */
function hash(text) {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text))
    value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}

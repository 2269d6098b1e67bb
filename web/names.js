// Names of cameras, as in docs/protocol.md.

const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;
const LONGEST_NAME = 32;

/** @param {string} text @returns {boolean} */
export function isName(text) {
  return NAME.test(text);
}

/** Turns what a person types into a name: "Front Door" is front-door. A dash at its end stays, for who types on. @param {string} text */
export function toName(text) {
  return text
    .normalize("NFD") // é is e and an accent, which goes
    .toLowerCase()
    .replace(/[\s_.]+/g, "-")
    .replace(/[^a-z0-9-]/g, "")
    .replace(/^-+/, "")
    .slice(0, LONGEST_NAME);
}

/** The name that a person means who has typed it to its end; "" for what is none. As drawercam/names.py. @param {string} text */
export function nameOf(text) {
  return toName(text).replace(/-+$/, "");
}

/** A name nobody else has chosen, so that one touch is enough. */
export function freshName() {
  return `camera-${1000 + Math.floor(Math.random() * 9000)}`;
}

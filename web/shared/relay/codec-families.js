// The families of codecs as the relay calls them (docs/protocol.md, "What players play").

/**
 * By the beginning of a codec's name, as RFC 6381 has it and as recorders say it.
 * @type {[RegExp, string][]}
 */
const FAMILIES = [
  [/^vp0?8/, "vp8"],
  [/^vp0?9/, "vp9"],
  [/^av0?1/, "av1"],
  [/^(avc|h264)/, "h264"],
  [/^opus/, "opus"],
  [/^mp4a/, "aac"],
];

/**
 * @param {string} name a codec's, or a MIME type with one
 * @returns {string} "" if it is not known
 */
export function familyOf(name) {
  const codec = name.includes("/") ? name.split(/codecs="?/)[1] || "" : name;
  const found = FAMILIES.find(([beginning]) => beginning.test(codec));
  return found ? found[1] : "";
}

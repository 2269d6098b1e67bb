// What each camera of this page is called: the label that people gave it, and its name beside that
// where the label alone would mislead.

import { isolated, nameOf } from "../../shared/page/camera-name.js";

/**
 * @typedef {{label: string, beside: string}} Called beside: the name where it is not the one that
 * is made from the label, or two cameras share the label; else ""
 */

/** By name; "" for a camera that has told none. @type {Map<string, string>} */
const labels = new Map();

/**
 * @param {string} name
 * @param {string} label as the relay tells it, which has removed what disturbs; "" for none
 */
export function hearLabel(name, label) {
  labels.set(name, label);
}

/** The camera is shown no more. @param {string} name */
export function forgetLabel(name) {
  labels.delete(name);
}

/** @param {string} name @returns {Called} */
export function called(name) {
  const label = labels.get(name) || name;
  const shared = [...labels].some(([other, its]) => other !== name && (its || other) === label);
  return { label, beside: label !== name && (shared || nameOf(label) !== name) ? name : "" };
}

/** The same for the middle of a sentence. @param {string} name @returns {string} */
export function calledInText(name) {
  const { label, beside } = called(name);
  return beside ? `${isolated(label)} (${beside})` : isolated(label);
}

// Why the camera cannot be had, in plain words, and what a person can do about it.

import { browserOf, stepsToAllow } from "../../shared/page/browser-menus.js";

/**
 * @typedef {"insecure" | "old" | "policy" | "refused" | "busy" | "missing" | "silent" | "failed"}
 *   ProblemId
 */
/** @typedef {{id: ProblemId, title: string, steps: string[], retries: boolean}} LensProblem
 *  retries: the lens goes on trying by itself */

/** @type {Record<ProblemId, LensProblem>} */
export const PROBLEMS = {
  insecure: {
    id: "insecure",
    title: "This address cannot film",
    steps: [
      "Browsers give the camera only to pages with a secure address, one that begins with https://.",
      "Start the relay with --tls and open the https:// address that it prints, or scan its code.",
    ],
    retries: false,
  },
  old: {
    id: "old",
    title: "This browser is too old to film",
    steps: [
      "It cannot record from a camera.",
      "Update it, or install a current Chrome or Firefox. On an iPhone, update to iOS 14.5 or later and use Safari.",
    ],
    retries: false,
  },
  policy: {
    id: "policy",
    title: "This page is inside another page",
    steps: ["The page around it does not let it use the camera. Open it by itself."],
    retries: false,
  },
  refused: {
    id: "refused",
    title: "The camera is not allowed",
    steps: stepsToAllow(browserOf(navigator), "Camera"),
    retries: false,
  },
  busy: {
    id: "busy",
    title: "The camera is in use",
    steps: [
      "Another app or another tab has the camera. Close it; this page takes the camera as soon as it is free.",
      "If nothing else uses it, restart the phone.",
    ],
    retries: true,
  },
  missing: {
    id: "missing",
    title: "No camera found",
    steps: [
      "This device has no camera, or its camera is unplugged or switched off. This page takes it as soon as it appears.",
    ],
    retries: true,
  },
  silent: {
    id: "silent",
    title: "The browser does not give the camera",
    steps: [
      "It says neither yes nor no. If it asks, allow the camera.",
      "If it does not ask, try again, or close this page and open it again. If it stays like this, restart the phone.",
    ],
    retries: true,
  },
  failed: {
    id: "failed",
    title: "The camera does not start",
    steps: [
      "This page goes on trying. If it stays like this, reload the page or restart the phone.",
    ],
    retries: true,
  },
};

/**
 * What keeps this page from filming before any device is asked for.
 * @returns {LensProblem | null}
 */
export function obstacle() {
  if (!window.isSecureContext) return PROBLEMS.insecure;
  if (
    !navigator.mediaDevices ||
    !navigator.mediaDevices.getUserMedia ||
    typeof MediaRecorder === "undefined"
  )
    return PROBLEMS.old;
  const policy = /** @type {any} */ (document).featurePolicy;
  if (policy && !policy.allowsFeature("camera")) return PROBLEMS.policy;
  return null;
}

/**
 * The words for what getUserMedia was rejected with. Old browsers have other names for the same
 * errors.
 * @param {any} error a DOMException
 * @returns {LensProblem}
 */
export function problemOf(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "PermissionDeniedError":
    case "SecurityError":
      return window.top === window ? PROBLEMS.refused : PROBLEMS.policy;
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
      return PROBLEMS.busy;
    case "NotFoundError":
    case "DevicesNotFoundError":
      return PROBLEMS.missing;
    default:
      return PROBLEMS.failed;
  }
}

// What the panel says (panels.js), and what it offers to do, for each thing that stands in the way.

import {
  ASK_FOR_LINK,
  KEEPS_NO_KEY,
  LINK_OPENS_NOTHING,
  keepsNoKey,
  linkWords,
  stepsToKeep,
} from "../../shared/relay/login.js";
import { awayWords, causeWords, refusalWords } from "../../shared/relay/absence.js";
import { isolated } from "../../shared/page/camera-name.js";

/** @typedef {import("./panels.js").Action} Action */
/** @typedef {import("./panels.js").Panel} Panel */
/** @typedef {import("../../shared/types.js").Session | null} MaybeSession */

/** Names of a key that are told. */
const MOST_NAMED = 3;

/** The relay is not to be had.
 *  @param {import("../../shared/relay/absence.js").Refusal | null} refusal what it says itself
 *  @param {import("../../shared/relay/absence.js").Away | null} away since when it does not answer
 *  @param {Action} check @returns {Panel | null} null where nothing is known yet */
export function relayPanel(refusal, away, check) {
  const actions = [check];
  if (refusal) {
    return { title: "The relay refuses this page", steps: [refusalWords(refusal)], actions };
  }
  if (!away) return null;
  const steps = [`This page goes on trying. ${away.moved ? "" : causeWords(away)}`.trim()];
  return { title: awayWords(away), steps, actions };
}

/** The browser keeps no key.
 *  @param {MaybeSession} session @param {Action} again @param {Action} check
 *  @returns {Panel | null} null where it does */
export function unkeptPanel(session, again, check) {
  if (!keepsNoKey(session)) return null;
  return { title: KEEPS_NO_KEY, steps: stepsToKeep(session), actions: [again, check] };
}

/** A key is needed.
 *  @param {MaybeSession} session of a browser that may not film
 *  @param {boolean} lost the relay takes the key no more with which this phone has filmed
 *  @param {Action} check @returns {Panel} */
export function keyPanel(session, lost, check) {
  if (lost) {
    const steps = [
      `It has ended or was revoked. ${ASK_FOR_LINK}`,
      "Scan the new code with this phone, open the new link, or type the new key: filming then goes on by itself.",
    ];
    return { title: "The relay takes this phone’s key no more", steps, actions: [check] };
  }
  const where = "it is what stands behind #key= in the link.";
  const steps = [
    "Scan the code “Film” that the relay prints, or open the link that you were sent, with this " +
      `phone. Or type the key: ${where}`,
  ];
  const why = linkWords(session) || watchesWords(session);
  if (why) steps.unshift(why);
  const opensNothing = why && session && session.link;
  const title = opensNothing ? LINK_OPENS_NOTHING : "This relay asks for a “Film” key";
  return { title, steps, actions: [...watchActions(session), check] };
}

/** Something else films under this name. @param {string} label @param {Action} over
 *  @param {Action} other to use another name @returns {Panel} */
export function takenPanel(label, over, other) {
  const steps = [
    "Another phone or page films under this name, and a name belongs to one camera at a time. If this phone starts, that one stops.",
  ];
  return { title: `“${isolated(label)}” is on the air already`, steps, actions: [other, over] };
}

/** The relay has ended it for good.
 *  @param {string} reason the id of its error
 *  @param {{label: string, session: MaybeSession, there: string}} facts label: what people call the
 *         camera; there: where the relay is that has moved, "" where it has not
 *  @param {{again: () => void, rename: () => void}} acts
 *  @returns {Panel | null} null: another key is needed */
export function endedPanel(reason, { label, session, there }, { again, rename }) {
  if (reason === "revoked" && there) {
    const steps = [
      "It has ended or was revoked. The relay has moved, and takes a new one only at its new address.",
    ];
    const actions = [{ label: "Look for it", primary: true, href: there }];
    return { title: "The relay takes this phone’s key no more", steps, actions };
  }
  if (reason === "revoked" || reason === "no-key") return null;
  if (reason === "not-allowed") {
    const steps = [`${otherNames(session)} ${ASK_FOR_LINK} Or use another name.`];
    const actions = [{ label: "Use another name", primary: true, act: rename }];
    return { title: `This phone’s key is not for “${isolated(label)}”`, steps, actions };
  }
  if (reason === "taken-over") {
    const steps = [
      "It films under this name now, and a name belongs to one camera at a time. This page has stopped.",
    ];
    const back = { label: "Take it back", primary: true, act: again };
    const actions = [back, { label: "Use another name", act: rename }];
    return { title: `Another phone or page is “${isolated(label)}” now`, steps, actions };
  }
  const actions = [{ label: "Start again", primary: true, act: again }];
  return { title: "The relay has said good-bye", steps: ["Filming has stopped."], actions };
}

/** @param {MaybeSession} session of a browser that may not film
 *  @returns {Action[]} what it may do */
function watchActions(session) {
  if (!session || !session.viewer) return [];
  const alone = session.watch !== "all" && session.watch.length === 1;
  const camera = alone ? `?camera=${session.watch[0]}` : "";
  return [{ label: "Watch with this device", href: `/player.html${camera}` }];
}

/** @param {MaybeSession} session of a browser that may not film
 *  @returns {string} what its key is for, if it has one */
function watchesWords(session) {
  if (!session || !session.viewer) return "";
  if (session.link) return `This link is for watching. ${ASK_FOR_LINK}`;
  return "This browser has a “Watch” key.";
}

/** @param {MaybeSession} session */
function otherNames(session) {
  const names = session && session.publish !== "all" ? session.publish : [];
  const few = names.length > 0 && names.length <= MOST_NAMED;
  return few ? `Your key is for ${names.join(" or ")} only.` : "Your key is for other names.";
}

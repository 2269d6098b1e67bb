// The page Guests: who has which key, a new one for a guest, and the end of one. It is for who may
// manage, as the holder of the key Own.

import "../guard.js";
import { refusalWords } from "../shared/relay/absence.js";
import { cover } from "../shared/page/inert.js";
import {
  KEEPS_NO_KEY,
  RefusalError,
  keepsNoKey,
  linkWords,
  onNewKey,
  openSession,
  stepsToKeep,
} from "../shared/relay/login.js";
import { isolated } from "../shared/page/camera-name.js";
import { Invitation } from "./invitation.js";
import { allows, isPrinted, manages, titleOf, untilWords } from "./words.js";

/** @typedef {import("./words.js").Key} Key */

/** Milliseconds before the relay is asked again after it did not answer. */
const RETRY = 2000;

const AWAY = "The relay does not answer. Trying again…";

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** @type {Key[]} */
let keys = [];

/** The cameras' labels, by their names. @type {Map<string, string>} */
const labels = new Map();

/** The key that a person is about to revoke. @type {Key | null} */
let doomed = null;

let retryTimer = 0;

/** @param {string} name what people call this camera */
function called(name) {
  return labels.get(name) || name;
}

const invitation = new Invitation({ make, called, ondone: load });

/** The relay has answered with a refusal. */
class Refusal extends Error {
  /** @param {number} status @param {string} text */
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/**
 * @param {string} path
 * @param {string} [method]
 * @param {object} [body]
 * @returns {Promise<any>} rejects with a Refusal, or when nobody answers
 */
async function ask(path, method = "GET", body = undefined) {
  /** @type {RequestInit} */
  const request = { method, credentials: "same-origin" };
  if (body) {
    request.body = JSON.stringify(body);
    request.headers = { "Content-Type": "application/json" };
  }
  const answer = await fetch(path, request);
  const told = await answer.json();
  if (!answer.ok) throw new Refusal(answer.status, told.text);
  return told;
}

/**
 * @param {object} wish see docs/protocol.md
 * @returns {Promise<import("./invitation.js").NewKey>}
 */
async function make(wish) {
  try {
    return await ask("/api/keys", "POST", wish);
  } catch (error) {
    if (error instanceof Refusal && isShut(error)) start();
    throw error instanceof Refusal
      ? error
      : new Error("The relay does not answer. No invitation is made; try again in a moment.");
  }
}

/** @param {Refusal} refusal whether this browser may not manage any more */
function isShut({ status }) {
  return status === 401 || status === 403;
}

// --- who may be here ---

async function start() {
  clearTimeout(retryTimer);
  try {
    const session = await openSession();
    say("");
    if (session.manage) await load();
    else refuse(session);
  } catch (error) {
    say(error instanceof RefusalError ? refusalWords(error.refusal) : AWAY);
    retryTimer = setTimeout(start, RETRY);
  }
}

/** @param {string} text */
function say(text) {
  byId("banner").hidden = text === "";
  if (byId("banner").textContent !== text) byId("banner").textContent = text;
}

/** @param {import("../shared/types.js").Session} session */
function refuse(session) {
  invitation.close();
  closeQuestion();
  byId("open").hidden = true;
  byId("shut").hidden = false;
  byId("shut-own").hidden = true;
  if (!session.keys) {
    byId("shut-title").textContent = "There are no keys";
    byId("shut-words").textContent =
      "This relay runs without keys: everybody who reaches it can film and watch, so there is nobody to invite.";
  } else if (keepsNoKey(session)) {
    byId("shut-title").textContent = KEEPS_NO_KEY;
    byId("shut-words").textContent = stepsToKeep(session)
      .join(" ")
      .replace("Then touch “Try again”.", "Then reload this page.");
  } else {
    byId("shut-title").textContent = "This page is for the relay’s owner";
    byId("shut-words").textContent =
      linkWords(session) || "This browser has no key that allows to invite others.";
    byId("shut-own").hidden = false;
  }
}

onNewKey(() => start());

// --- the list ---

async function load() {
  clearTimeout(retryTimer);
  try {
    const [{ keys: found, wrongKeys }, cameras] = await Promise.all([
      ask("/api/keys"),
      ask("/api/cameras"),
    ]);
    keys = found;
    for (const { name, label } of cameras) if (label) labels.set(name, label);
    invitation.offer(cameras);
    invitation.check(keys);
    draw(wrongKeys);
    say("");
  } catch (error) {
    if (error instanceof Refusal && isShut(error)) return start();
    say(error instanceof Refusal ? error.message : AWAY);
    retryTimer = setTimeout(load, RETRY);
  }
}

/** @param {number} wrongKeys how many were tried */
function draw(wrongKeys) {
  byId("shut").hidden = true;
  byId("open").hidden = false;
  const list = byId("list");
  const focused =
    document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : "";
  list.textContent = "";
  for (const key of inOrder(keys)) list.append(row(key));
  const again = focused ? list.querySelector(`button[data-key="${focused}"]`) : null;
  if (again) again.focus();
  byId("guesses").hidden = wrongKeys === 0;
  byId("guesses").textContent =
    `${wrongKeys === 1 ? "1 wrong key was" : `${wrongKeys} wrong keys were`} tried since the relay was started.`;
}

/**
 * Guests first, the newest at the top; then the keys that the relay has made by itself, and those
 * that are over.
 * @param {Key[]} all
 */
function inOrder(all) {
  const rank = (/** @type {Key} */ key) =>
    key.over ? 3 : isPrinted(key) ? 2 : manages(key) ? 1 : 0;
  return [...all].sort((one, other) => rank(one) - rank(other) || other.made - one.made);
}

/** @param {Key} key */
function row(key) {
  const item = document.createElement("li");
  item.dataset.id = key.id;
  const words = document.createElement("div");
  const title = document.createElement("h3");
  const name = document.createElement("span");
  name.dir = "auto";
  name.textContent = titleOf(key);
  title.append(name);
  if (key.held) {
    const here = document.createElement("span");
    here.className = "mark";
    here.textContent = "on this device";
    title.append(" ", here);
  }
  const rights = document.createElement("p");
  rights.textContent = `${key.over ? "Could" : "Can"} ${allows(key, called)}`;
  const until = document.createElement("p");
  until.className = "quiet";
  until.textContent = untilWords(key.expires, key.over);
  words.append(title, rights, until);
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.key = key.id;
  button.textContent = key.over ? "Remove" : "Revoke";
  button.setAttribute("aria-label", `${button.textContent}: ${titleOf(key)}`);
  button.addEventListener("click", () => (key.over ? revoke(key) : question(key.id)));
  item.append(words, button);
  return item;
}

// --- the end of a key ---

/**
 * Asks, with the list as it is now: another device may have revoked others meanwhile.
 * @param {string} id
 */
async function question(id) {
  await load();
  const key = keys.find((one) => one.id === id);
  if (!key) return;
  doomed = key;
  byId("ask-title").textContent = `Revoke the key of ${isolated(titleOf(key))}?`;
  if (isPrinted(key) || manages(key))
    byId("ask-title").textContent =
      `Revoke the key ${titleOf(key).replace("The relay’s code ", "")}?`;
  const list = byId("ask-words");
  list.textContent = "";
  for (const sentence of consequences(key)) {
    const line = document.createElement("p");
    line.textContent = sentence;
    list.append(line);
  }
  byId("ask-wrong").hidden = true;
  byId("ask").hidden = false;
  cover(byId("page"), byId("keep"));
  byId("keep").focus();
}

/** @param {Key} key @returns {string[]} */
function consequences(key) {
  const sentences = [
    `Its holder can no longer ${allows(key, called)}. What is connected by it is cut off within a second.`,
  ];
  if (isPrinted(key))
    sentences.push(
      "It is in the code and the link that the relay prints. Those that were printed or scanned no longer work.",
    );
  if (key.held) sentences.push("This device uses it, too: what it opens here closes.");
  if (manages(key) && !keys.some((one) => one.id !== key.id && !one.over && manages(one))) {
    sentences.push(
      "It is the last key that may invite guests and revoke keys. Without it, that can be done only on the relay’s computer, where this " +
        "makes a new one: python3 relay.py keys add --own",
    );
  }
  return sentences;
}

function closeQuestion() {
  byId("ask").hidden = true;
  cover(byId("page"), null);
  const button = doomed ? byId("list").querySelector(`button[data-key="${doomed.id}"]`) : null;
  doomed = null;
  if (button) button.focus();
  else if (!byId("open").hidden) byId("list-title").focus();
}

/** @param {Key} key */
async function revoke(key) {
  byId("sure").disabled = true;
  let news = "";
  try {
    await ask(`/api/keys/${key.id}`, "DELETE");
    news = `The key of ${isolated(titleOf(key))} is ${key.over ? "removed" : "revoked"}.`;
  } catch (error) {
    // By another device.
    const gone = error instanceof Refusal && (error.status === 404 || isShut(error));
    if (!gone) {
      byId("ask-wrong").textContent =
        error instanceof Refusal
          ? error.message
          : "The relay does not answer. The key is not revoked; try again.";
      byId("ask-wrong").hidden = false;
      byId("sure").disabled = false;
      return;
    }
  }
  byId("sure").disabled = false;
  await start();
  closeQuestion();
  if (!news) return;
  // Now that nothing covers it: a screen reader says nothing of what is inert.
  byId("news").textContent = news;
  byId("news").hidden = false;
}

byId("sure").addEventListener("click", () => {
  if (doomed) revoke(doomed);
});
byId("keep").addEventListener("click", closeQuestion);
byId("ask").addEventListener("click", (/** @type {MouseEvent} */ event) => {
  if (event.target === byId("ask")) closeQuestion();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && doomed) closeQuestion();
});

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && !byId("open").hidden) load();
});

start();

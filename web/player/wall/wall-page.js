// The wall: which cameras there are, where their tiles stand, and the panels around them. Each tile
// looks after itself (tile.js).
//
// Address: ?camera=porch shows only one; ?engine=frames, mse or jpeg forces a way of decoding, and
// ?surface=generator, offscreen or canvas a way to the screen (surface.js).
//
// Long, because it joins all parts of the page; what each of them does stands in its own file.

import "../../guard.js";
import { awayWords, refusalOf, refusalWords, relay } from "../../shared/relay/absence.js";
import { Alarms, FORBEARANCE } from "./alarms.js";
import { Announcer } from "../../shared/page/announcer.js";
import { browserOf, stepsToReach } from "../../shared/page/browser-menus.js";
import { haveRoom, placeTiles } from "./layout.js";
import { InvitePanel } from "./invite-panel.js";
import {
  guestWords,
  isOnly,
  judgeKey,
  lostWords,
  mayWatch,
  otherWay,
  otherWords,
} from "./key-words.js";
import { KeptSound } from "./kept-sound.js";
import { Link } from "../../shared/relay/relay-link.js";
import { elsewhere, signpost } from "../../shared/relay/moved-relay.js";
import { tellMistake } from "../../shared/page/mistake.js";
import { PutAway } from "./put-away.js";
import { forgets } from "../../shared/page/stored.js";
import { Roll } from "./roll.js";
import { setText } from "../../shared/page/elements.js";
import {
  ASK_FOR_LINK,
  KEEPS_NO_KEY,
  LINK_OPENS_NOTHING,
  RefusalError,
  keepsNoKey,
  lastSession,
  linkWords,
  onNewKey,
  openSession,
  stepsToKeep,
  useKey,
} from "../../shared/relay/login.js";
import { SURFACES } from "../engines/surface.js";
import { Tile } from "../tile/tile.js";
import { TileDrag } from "./tile-drag.js";
import { TileOrder } from "./tile-order.js";
import { titleSays } from "../../shared/page/title.js";
import { NEWER, version } from "../../shared/page/version.js";
import { WakeLock } from "../../shared/page/wake-lock.js";

/** Milliseconds before the relay is asked again after it did not answer. */
const RETRY = 2000;

/**
 * Milliseconds between two looks whether the screen has to stay on: a phone's goes off after 15 s
 * at the earliest.
 */
const AWAKE_LOOK = 2000;

/** Pixels at the usual size of letters: below these a tile speaks in small letters. */
const SMALL_WIDTH = 200;
const SMALL_HEIGHT = 180;

/**
 * Pixels at the usual size of letters: below this a button of a tile has no words, and its name a
 * line of its own.
 */
const NARROW_WIDTH = 380;

/** Pixels: letters of the usual size. */
const USUAL_TEXT = 16;

/**
 * Milliseconds between two looks at the connection: it says to the minute since when it is away.
 */
const RELAY_LOOK = 1000;

/** Width over height of a picture that was never seen. */
const USUAL_ASPECT = 4 / 3;

const TRYING = "Trying again…";

/** What to do where the page of a relay that has moved has lost its key. */
const NEW_KEY_THERE = "The relay has moved, and takes a new key only at its new address.";

const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

const wall = byId("wall");
const banner = byId("banner");
const keyPanel = byId("key");

/** What stands there where a key is asked for. */
const KEY_WORDS = {
  title: byId("key-title").textContent,
  label: byId("key-label").textContent,
  use: byId("key-use").textContent,
};

const query = new URLSearchParams(location.search);
const only = query.get("camera");
const engine = ["frames", "mse", "jpeg"].find((name) => name === query.get("engine")) || null;
const surface = SURFACES.find((kind) => kind === query.get("surface")) || null;

/** @type {Map<string, Tile>} */
const tiles = new Map();

/** @type {import("../../shared/types.js").Session | null} */
let session = null;

/** @type {Link | null} */
let link = null;

/** Whether the relay has told of its cameras since the link was opened. */
let listed = false;

/** The relay has refused the key of this page, and nothing is asked for with it any more. */
let refused = false;

/** The name of the camera that fills the window. @type {string | null} */
let large = null;

/** Which cameras' sound is on, and how loud. */
const keptSound = new KeptSound(history.state, keepSound);

let startTimer = 0;

/** The cameras of the wall, as its list tells. */
const roll = new Roll();

/** Those that are gone, and that a person wants to see no more on this device. */
const putAway = new PutAway(() => onputaway());

/** How many of those that are gone stand at the wall's end, because there is no room for all. */
let aside = 0;

/** Where they stand. */
const order = new TileOrder(() => showAll());

const announcer = new Announcer(byId("announcer"));

const alarms = new Alarms({
  onchange: () => applyAlarms(),
  ontell: (name) => {
    const tile = tiles.get(name);
    if (tile) tile.announceGone();
  },
});

/**
 * Whether this page could not reach the relay when it tried last; and why the relay does not let it
 * in, as it says.
 */
let unreached = false;
/** @type {import("../../shared/relay/absence.js").Refusal | null} */
let refusal = null;

// --- the relay ---

async function start() {
  clearTimeout(startTimer);
  if (!link && !unreached) relay.begin();
  try {
    session = await openSession();
  } catch (error) {
    unreached = true;
    tellRelay(error instanceof RefusalError ? error.refusal : null);
    startTimer = setTimeout(start, RETRY);
    return;
  }
  closeWall(); // what is open has come by another key
  allIsWell();
  if (mayWatch(session, only)) openWall();
  else askForKey(linkWords(session) || otherWords(session));
}

/**
 * @param {string} text "" takes the banner away
 * @param {string} [way] an address where help is
 * @param {string[]} [steps] what a person can do: shown after a tap, because there is no room for
 *   it beside the pictures
 */
function say(text, way = "", steps = []) {
  if (banner.dataset.says === text + way) return;
  banner.dataset.says = text + way;
  banner.textContent = text;
  banner.hidden = text === "";
  if (way) {
    const link = document.createElement("a");
    link.href = way;
    link.textContent = "Look for it";
    banner.append(" ", link);
  }
  if (steps.length > 0) banner.append(" ", ...unfolding(steps));
}

/** @param {string[]} steps @returns {HTMLElement[]} a button, and what it shows */
function unfolding(steps) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "What to do";
  button.setAttribute("aria-expanded", "false");
  const list = document.createElement("div");
  list.hidden = true;
  for (const step of steps) {
    const line = document.createElement("p");
    line.textContent = step;
    list.append(line);
  }
  button.addEventListener("click", () => {
    list.hidden = !list.hidden;
    button.setAttribute("aria-expanded", String(!list.hidden));
  });
  return [button, list];
}

function openWall() {
  refused = false;
  keyPanel.hidden = true;
  byId("guests").hidden = only !== null || !session || !session.manage;
  if (only !== null) {
    if (!NAME.test(only))
      return say("No camera can have this name: a name has small letters, digits and hyphens.");
    showCameras([only]);
    return;
  }
  if (link) return;
  link = new Link("/wall", {
    elsewhere: elsewhere(lastSession),
    onstate: (state, why) => {
      if (link) relay.linked(state, why, link.moved);
      if (state === "open") allIsWell();
      else if (state === "waiting") checkSession(why);
      else if (state === "closed" && why) onrefused(why.text);
    },
    onpong: () => relay.heard(),
    onmessage: (message) => {
      if (message.type === "cameras") list(message.cameras);
      // The page came from there.
      else if (message.type === "welcome" && link && !link.settled) version.hear(message.version);
    },
  });
  listed = false;
  link.open();
}

/** The relay tells which cameras there are. @param {import("./roll.js").Entry[]} cameras */
function list(cameras) {
  listed = true;
  roll.take(cameras);
  putAway.forget(roll.all.filter(({ state }) => state !== "gone").map(({ name }) => name));
  showAll();
}

/** The wall's link broke: is the relay away, or does it no longer know this browser?
 *  @param {import("../../shared/relay/absence.js").Refusal | null} why what it said last */
async function checkSession(why) {
  let found = refusalOf(why) || refusal; // one try without an answer takes nothing back
  try {
    session = await openSession();
    unreached = false;
    if (!mayWatch(session, only)) return askForKey(why ? lostWords(why.id, why.text) : "");
  } catch (error) {
    unreached = true;
    if (error instanceof RefusalError) found = error.refusal;
  }
  tellRelay(found);
}

/** The relay has answered, and let this page in, or asks for its key. */
function allIsWell() {
  unreached = false;
  refusal = null;
  say(version.stuck ? NEWER : "");
  titleSays("relay", "");
}

/**
 * Says what keeps this page from the relay.
 * @param {import("../../shared/relay/absence.js").Refusal | null} [why] what it says itself
 */
function tellRelay(why = refusal) {
  refusal = why;
  if (refused) return; // its key is what matters, and that has been said
  const alone = link ? null : [...tiles.values()][0];
  if (!link && !alone && !unreached) return; // it wants nothing of the relay
  const open = link ? link.state === "open" : alone && alone.linkState === "open";
  if (open && !relay.silent && (alone || listed)) return allIsWell();
  if (alone) refusal = refusalOf(alone.refusal);
  const away = relay.away();
  titleSays("relay", away ? awayWords(away) : refusal ? "The relay refuses this page" : "");
  const steps =
    away && !away.moved ? stepsToReach(browserOf(navigator), location.protocol === "https:") : [];
  if (away) say(`${awayWords(away)}. ${TRYING}`, signpost(lastSession()), steps);
  else if (relay.restarting) say("The relay is restarting…");
  else if (refusal) say(refusalWords(refusal));
  else if (unreached) say(`The relay does not answer. ${TRYING}`, signpost(lastSession()));
  else if (link && !listed)
    say("Connecting…"); // an empty wall is no answer
  else say(version.stuck ? NEWER : "");
}

setInterval(() => {
  tellRelay();
  settle();
}, RELAY_LOOK);

// Not while something would end with this page that a person has begun: after a reload, many
// browsers want a tap for each of these.
version.follow({
  mayReload: () =>
    !isFilled() &&
    ![...tiles.values()].some(
      ({ sound, floating }) => sound.wanted || (floating && floating.floats),
    ),
  onstuck: () => tellRelay(),
});

/** Whether the page, or a tile of it, fills the screen. */
function isFilled() {
  const page = /** @type {any} */ (document);
  return Boolean(page.fullscreenElement || page.webkitFullscreenElement);
}

// --- the key ---

/**
 * The relay has refused the key of this page, so it is not shown again: somebody has to bring
 * another one.
 * @param {string} why
 */
async function onrefused(why) {
  if (refused) return; // by one of the other links
  refused = true;
  try {
    session = await openSession();
  } catch (error) {
    session = null;
  }
  if (session && !mayWatch(session, only))
    askForKey(`${why} ${otherWords(session) || ASK_FOR_LINK}`);
  // It was one camera's, which the wall will list no more.
  else if (link && link.state !== "closed") refused = false;
  // Its tiles say why, too.
  else if (!session) say(`${why} ${NEW_KEY_THERE}`, signpost(lastSession()));
  // Another page of this browser was given one meanwhile.
  else startTimer = setTimeout(start, RETRY);
}

function closeWall() {
  if (link) link.close();
  link = null;
  listed = false;
  roll.clear();
  showCameras([]);
}

/** @param {string} [why] what became of the key that this page had */
function askForKey(why = "") {
  refused = true;
  closeWall();
  allIsWell();
  invitePanel.hide();
  byId("guests").hidden = true;
  byId("count").textContent = "";
  showKeyPanel(why);
  byId(keepsNoKey(session) ? "key-use" : "key-field").focus();
}

/** @param {string} why as above */
function showKeyPanel(why) {
  const unkept = keepsNoKey(session);
  byId("key-title").textContent = unkept
    ? KEEPS_NO_KEY
    : why && session && session.link
      ? LINK_OPENS_NOTHING
      : KEY_WORDS.title;
  byId("key-label").textContent = unkept ? "Another “Watch” key" : KEY_WORDS.label;
  byId("key-use").textContent = unkept ? "Try again" : KEY_WORDS.use;
  byId("key-how").hidden = unkept;
  byId("key-field").required = !unkept;
  byId("key-why").textContent = unkept ? stepsToKeep(session).join(" ") : why;
  byId("key-why").hidden = !unkept && why === "";
  showOther();
  keyPanel.hidden = false;
}

/** Leads to what the key of this browser opens. */
function showOther() {
  const way = otherWay(lastSession()); // also where the relay does not know the key that was typed
  byId("key-other").hidden = way === null;
  byId("key-other-way").href = way ? way.href : "";
  byId("key-other-way").textContent = way ? way.text : "Film with this device";
}

byId("key-form").addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const typed = byId("key-field").value;
  let wrong = "";
  tellWrong("");
  if (typed.trim() === "" && !keepsNoKey(session)) return tellWrong("Type the key first.");
  try {
    session = typed === "" ? await openSession() : await useKey(typed);
    wrong = judgeKey(session, typed !== "");
    showKeyPanel("");
  } catch (error) {
    session = null;
    wrong =
      error instanceof RefusalError
        ? refusalWords(error.refusal)
        : "The relay does not answer. Try again in a moment.";
  }
  if (session && mayWatch(session, only)) openWall();
  else tellWrong(wrong);
});

/** @param {string} text what is wrong with the key that was typed, "" for nothing */
function tellWrong(text) {
  if (keepsNoKey(session))
    byId("key-wrong").textContent = text; // it is not what was typed
  else tellMistake(byId("key-field"), byId("key-wrong"), text);
  byId("key-wrong").hidden = text === "";
}

onNewKey((here) => {
  if (here || refused) start();
});

// --- the tiles ---

/** Shows those that are to be seen, of those that there are. */
function showAll() {
  if (only !== null) return applyGone();
  const { entries, gone } = sorted();
  aside = gone;
  showCameras(entries.map(({ name }) => name));
  for (const entry of entries) /** @type {Tile} */ (tiles.get(entry.name)).hear(entry);
}

/**
 * Those that are to be seen, in the order of the wall. Where not all can be seen at once, and more
 * are gone than not, those that are gone make way, the latest first. A few that are gone stay where
 * they are missed.
 * @returns {{entries: import("./roll.js").Entry[], gone: number}} gone: how many of the last ones
 *   have made way
 */
function sorted() {
  const known = new Map(
    roll.all.map(
      (entry) => /** @type {[string, import("./roll.js").Entry]} */ ([entry.name, entry]),
    ),
  );
  const names = order.sort(
    [...known.values()].filter((entry) => !isPutAway(entry)).map(({ name }) => name),
  );
  const entries = names.map((name) => /** @type {import("./roll.js").Entry} */ (known.get(name)));
  // One whose page is reloaded is back before, and nothing moves.
  const longGone = (/** @type {import("./roll.js").Entry} */ { state, since = 0 }) =>
    state === "gone" && Date.now() - since > FORBEARANCE;
  const gone = entries.filter(longGone);
  const here = entries.length - gone.length;
  if (
    here === 0 ||
    gone.length <= here ||
    haveRoom(names.map(aspectOf), wall.clientWidth, wall.clientHeight, textSize())
  ) {
    return { entries, gone: 0 };
  }
  gone.sort((a, b) => (b.since || 0) - (a.since || 0));
  return { entries: [...entries.filter((entry) => !longGone(entry)), ...gone], gone: gone.length };
}

/** @param {string} name */
function aspectOf(name) {
  const tile = tiles.get(name);
  return tile ? tile.aspect : USUAL_ASPECT;
}

/** By how much letters are larger than usual. */
function textSize() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / USUAL_TEXT;
}

/**
 * Puts those elsewhere that have to make way, or no more. Nothing moves under a finger.
 * @returns {boolean} whether any had to
 */
function settle() {
  if (only !== null || large !== null || drag.drag !== null) return false;
  const { entries, gone } = sorted();
  if (gone === aside && entries.map(({ name }) => name).join() === [...tiles.keys()].join())
    return false;
  showAll();
  return true;
}

/** What fits on the wall has changed. */
function fitAgain() {
  if (!settle()) layOut();
}

/** @param {import("./roll.js").Entry} entry */
function isPutAway({ name, state, since = 0 }) {
  return state === "gone" && putAway.has(name, since);
}

/** @param {string} name @returns {Tile} */
function makeTile(name) {
  const tile = new Tile(name, {
    engine,
    surface,
    sounds: keptSound.isOn(name),
    loudness: keptSound.loudnessOf(name),
    ontap: () => tap(name),
    onback: () => history.back(),
    onaspect: fitAgain,
    onsound: (on) => keptSound.turn(name, on),
    onloudness: (value) => keptSound.setLoudness(name, value),
    onmove: (by) => moveTile(name, by),
    onrefused,
    ongone: (gone) => ongone(name, gone),
    onputaway: () => putThemAway(goneCameras().filter(([one]) => one === name)),
    announce: (text) => (text ? announcer.say(name, text) : announcer.takeBack(name)),
  });
  if (only !== null) tile.hear(null);
  return tile;
}

/** @param {string[]} names */
function showCameras(names) {
  for (const [name, tile] of tiles) {
    if (names.includes(name)) continue;
    tile.close();
    tiles.delete(name);
    alarms.forget(name);
    announcer.takeBack(name);
  }
  for (const name of names) if (!tiles.has(name)) tiles.set(name, makeTile(name));
  for (const name of names) {
    const tile = /** @type {Tile} */ (tiles.get(name));
    tiles.delete(name); // the map's order is the wall's
    tiles.set(name, tile);
    const movable = names.length - aside;
    if (only === null && names.indexOf(name) < movable) tile.setRank(names.indexOf(name), movable);
    else tile.setRank(0, 1);
  }
  arrange([...tiles.values()]);
  byId("all").hidden = only === null || isOnly(session, only);
  byId("add").hidden = only !== null || names.length === 0;
  applyLarge();
  applyGone();
  layOut();
}

/**
 * Puts the tiles' elements into their order. Only what stands in the wrong place is moved, because
 * moving an element takes its focus away and closes the window in which its picture floats: so the
 * others make way for the one that has either.
 * @param {Tile[]} sorted
 */
function arrange(sorted) {
  const fixed =
    sorted.find(({ floating }) => floating && floating.floats) ||
    sorted.find(({ element }) => element.contains(document.activeElement));
  /** @type {Element | null} */
  let next = null;
  for (const tile of sorted.reverse()) {
    const { element } = tile;
    const stays = tile === fixed && element.isConnected;
    if (!stays && (element.nextElementSibling !== next || !element.isConnected))
      wall.insertBefore(element, next);
    next = element;
  }
}

function layOut() {
  const shown = [...tiles.values()].filter((tile) => !tile.element.hidden);
  const { clientWidth: width, clientHeight: height } = wall;
  const { direction } = getComputedStyle(document.documentElement);
  const text = textSize();
  const whole = { left: 0, top: 0, width, height };
  const places =
    large === null
      ? placeTiles(
          shown.map((tile) => tile.aspect),
          width,
          height,
          text,
          aside,
        )
      : [whole];
  shown.forEach(({ element }, index) => {
    const place = places[index];
    const left = direction === "rtl" ? width - place.left - place.width : place.left;
    // The edges are rounded, and not the sizes: else the last row would stand out by a pixel, and
    // the wall would scroll.
    const [x, y] = [Math.round(left), Math.round(place.top)];
    element.style.left = `${x}px`;
    element.style.top = `${y}px`;
    element.style.width = `${Math.round(left + place.width) - x}px`;
    element.style.height = `${Math.round(place.top + place.height) - y}px`;
    const small = large === null ? text : 1;
    element.classList.toggle(
      "small",
      place.width < SMALL_WIDTH * small || place.height < SMALL_HEIGHT * small,
    );
    element.classList.toggle("narrow", place.width < NARROW_WIDTH * text);
  });
}

new ResizeObserver(fitAgain).observe(wall);

/**
 * Who watches touches nothing for hours, so the screen is kept on while something is live. Old
 * browsers do that only for a video that plays; there it is what the engine shows it with.
 */
const awake = new WakeLock(() => undefined, false);

setInterval(() => {
  if ([...tiles.values()].some((tile) => tile.state === "live")) {
    awake.hold();
    awake.look(performance.now());
  } else awake.release();
}, AWAKE_LOOK);

// --- the order of the tiles ---

/** Whether there is a wall on which a tile can go elsewhere. */
function mayMove() {
  return only === null && tiles.size > 1;
}

/** @param {string} name @param {string} neighbour @param {boolean} after */
function putTile(name, neighbour, after) {
  const names = [...tiles.keys()];
  order.put(name, neighbour, after, names);
  showAll();
  const place = [...tiles.keys()].indexOf(name) + 1;
  const tile = tiles.get(name);
  if (tile)
    tile.tell(
      [`Now ${place} of ${tiles.size}.`, forgets("The order of the cameras")].join(" ").trim(),
    );
}

/** @param {string} name @param {number} by places */
function moveTile(name, by) {
  const names = [...tiles.keys()].slice(0, tiles.size - aside);
  const neighbour = names.includes(name) && names[names.indexOf(name) + by];
  if (mayMove() && neighbour) putTile(name, neighbour, by > 0);
}

const drag = new TileDrag(wall, { may: () => mayMove() && large === null, ondrop: putTile });

/**
 * Keys that move the tile that has the focus, with Alt, and by how many places.
 * @type {Record<string, number>}
 */
const MOVES = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

wall.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  const backwards =
    event.key !== "ArrowUp" &&
    event.key !== "ArrowDown" &&
    getComputedStyle(wall).direction === "rtl";
  const by = (MOVES[event.key] || 0) * (backwards ? -1 : 1);
  const tile = [...tiles.values()].find(({ element }) =>
    element.contains(/** @type {Node} */ (event.target)),
  );
  if (
    !by ||
    !event.altKey ||
    event.ctrlKey ||
    event.metaKey ||
    event.shiftKey ||
    large !== null ||
    !mayMove() ||
    !tile
  )
    return;
  event.preventDefault(); // else some browsers go back
  moveTile(tile.name, by);
});

// --- cameras that are gone ---

/**
 * @param {string} name
 * @param {import("../tile/departure.js").Gone | null} gone null: it is back
 */
function ongone(name, gone) {
  if (!gone) putAway.forget([name]);
  if (gone && !putAway.has(name, gone.since)) alarms.hear(name, gone.reason);
  else alarms.forget(name);
  if (tiles.has(name)) applyGone();
}

/** @returns {[name: string, since: number][]} those on the wall */
function goneCameras() {
  const known = [...tiles].map(
    ([name, { departure }]) =>
      /** @type {[string, number]} */ ([name, departure.gone ? departure.gone.since : 0]),
  );
  return known.filter(([, since]) => since > 0);
}

/** @returns {string[]} those that are gone and not to be seen */
function hiddenNames() {
  if (only === null) return roll.all.filter(isPutAway).map(({ name }) => name);
  return goneCameras()
    .filter(([name, since]) => putAway.has(name, since))
    .map(([name]) => name);
}

/** A person has seen that they are gone. @param {[name: string, since: number][]} cameras */
function putThemAway(cameras) {
  const focus = document.activeElement;
  const names = cameras.map(([name]) => name);
  const index = [...tiles.keys()].indexOf(names[0]);
  putAway.put(cameras);
  if (only === null && large !== null && names.includes(large)) history.back();
  onputaway();
  if (focus && focus.getClientRects().length > 0) return;
  // What had the focus is there no more: so the tile has it that stands in its place now.
  const next = [...tiles.values()].filter(({ element }) => !element.hidden);
  if (next.length > 0) next[Math.min(index, next.length - 1)].view.focus();
  else byId("back-again").focus();
}

/** Some were put away or brought back, here or by another page of this device. */
function onputaway() {
  showAll();
  for (const [name, { departure }] of tiles) if (departure.gone) ongone(name, departure.gone);
}

/** Says how many cameras are here, gone and put away. */
function applyGone() {
  const gone = goneCameras();
  const hidden = hiddenNames();
  const all = tiles.size === 1 ? "1 camera" : `${tiles.size} cameras`;
  const count =
    only !== null || tiles.size === 0
      ? ""
      : gone.length === 0
        ? all
        : `${all}, ${gone.length} gone`;
  setText(byId("count"), count);
  byId("away-all").hidden = only !== null || gone.length < 2;
  byId("back-again").hidden = hidden.length === 0;
  setText(byId("back-again"), `${hidden.length} put away`);
  const forgotten = hidden.length > 0 ? forgets("What is put away") : "";
  setText(byId("forgets"), forgotten);
  byId("forgets").hidden = forgotten === "";
  byId("bar").classList.toggle("full", gone.length > 0 || hidden.length > 0);
  invitePanel.apply();
  if (only !== null) applyOnly(hidden.length > 0);
}

/** Says which are missed, in the title, and where another one fills the window. */
function applyAlarms() {
  const words = alarms.words();
  titleSays("cameras", words && `! ${words}`);
  const unseen = large === null ? "" : alarms.words(large);
  const missed = byId("missed");
  setText(missed, unseen);
  missed.hidden = unseen === "";
}

/** @param {boolean} hidden whether the only camera of this page is put away */
function applyOnly(hidden) {
  const tile = tiles.get(/** @type {string} */ (only));
  if (tile) tile.element.hidden = hidden;
  const note =
    tile && hidden
      ? `${tile.called}: ${tile.departure.words}. It is put away on this device, and is shown again when it is back.`
      : "";
  setText(byId("away-note"), note);
  byId("away-note").hidden = !hidden;
  layOut();
}

byId("away-all").addEventListener("click", () => putThemAway(goneCameras()));

byId("back-again").addEventListener("click", () => {
  putAway.forget(hiddenNames());
  onputaway();
  const [first] = goneCameras();
  if (first) /** @type {Tile} */ (tiles.get(first[0])).view.focus();
});

// --- one camera large ---

/** @param {string} name */
function tap(name) {
  if (only !== null) return;
  if (large === name) {
    history.back();
    return;
  }
  history.pushState({ large: name, ...keptSound.kept }, "");
  applyLarge();
}

/**
 * Makes the page what its history entry says: so the back button, a reload and a tap are one thing.
 */
function applyLarge() {
  const wish = only !== null ? only : history.state && history.state.large;
  large = tiles.has(wish) ? wish : null;
  for (const [name, tile] of tiles) {
    // A hidden tile decodes nothing.
    if (only === null) tile.element.hidden = large !== null && name !== large;
    tile.setLarge(name === large, only !== null);
  }
  byId("bar").hidden = large !== null && only === null;
  document.body.classList.toggle("filled", large !== null);
  applyAlarms();
  layOut();
}

/** An older history entry does not know what was switched since. */
function keepSound() {
  history.replaceState(Object.assign({}, history.state, keptSound.kept), "");
}

addEventListener("popstate", () => {
  keepSound();
  applyLarge();
});

addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  if (invitePanel.inviting) invitePanel.close();
  else if (large !== null && only === null) history.back();
});

// --- the invitation ---

const invitePanel = new InvitePanel(byId, {
  session: () => session,
  isEmpty: () => listed && tiles.size === 0,
  guest: () => guestWords(session),
  hidden: () => hiddenNames().length,
  base: () => (link && link.settled ? link.settled.base : location.href),
});

start();

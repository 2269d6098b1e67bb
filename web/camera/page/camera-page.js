// The camera's page: joins the lens, the filming and what a person sees and touches.

import "../../guard.js";
import { awayWords, causeWords, refusalWords, relay } from "../../shared/relay/absence.js";
import { SOUND_WORDS, duration, encoderWords, statusWords, viewerWords } from "./status-words.js";
import { Care } from "./recovery.js";
import { DarkScreen } from "./dark-screen.js";
import { Drops } from "../publish/recent-drops.js";
import { EncoderChoice } from "../encode/encoder-choice.js";
import { Filming, STOPPED } from "../publish/filming.js";
import { signpost } from "../../shared/relay/moved-relay.js";
import { KeyDesk } from "./key-form.js";
import { Lens } from "../lens/lens.js";
import { lensName } from "./lens-words.js";
import { LevelBar } from "../../shared/page/level-bar.js";
import { LOOK, LevelMeter } from "../lens/level-meter.js";
import { isOnAir } from "./on-air.js";
import { Overload } from "../lens/slow-phone.js";
import { isolated } from "../../shared/page/camera-name.js";
import { Panels } from "./panels.js";
import { recall, remember } from "../../shared/page/stored.js";
import { ASK_FOR_LINK, KEEPS_NO_KEY, LINK_OPENS_NOTHING, keepsNoKey, lastSession, linkWords, stepsToKeep } from "../../shared/relay/login.js";
import { SelfTest } from "./self-test.js";
import { SelfTestSheet } from "./self-test-sheet.js";
import { SetupForm } from "./setup-form.js";
import { titleSays } from "../../shared/page/title.js";
import { Turning } from "../lens/pan-tilt-zoom.js";
import { picturesOf } from "../../shared/page/silent-video.js";
import { WakeLock } from "../../shared/page/wake-lock.js";

/** Milliseconds without the relay after which the page offers to look for the cause: several tries have failed by then. */
const OFFER_AFTER = 8000;

/** Names of a key that are told. */
const MOST_NAMED = 3;

/** Keys of localStorage. */
const STORED_SOUND = "drawercam.sound";
const STORED_DEVICE = "drawercam.lens";

const query = new URLSearchParams(location.search);

/** @param {string} id @returns {any} */
const find = (id) => document.getElementById(id);

const page = {
  camera: find("camera"),
  picture: find("picture"),
  note: find("note"),
  setup: find("setup"),
  start: find("start"),
  onair: find("onair"),
  title: find("title"),
  status: find("status"),
  detail: find("detail"),
  viewers: find("viewers"),
  clock: find("clock"),
  sound: find("sound"),
  heading: find("heading"),
  soundIcon: find("sound-icon"),
  soundLabel: find("sound-label"),
  soundHint: find("sound-hint"),
  encoder: find("encoder"),
  lens: find("lens"),
  lensLabel: find("lens-label"),
  check: find("check"),
  signpost: find("signpost"),
  dim: find("dim"),
  stop: find("stop"),
  darkText: find("dark-text"),
};

/** Text is set only when it changes: a screen reader would read it again. @param {HTMLElement} element @param {string} text */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} text */
function note(text) {
  write(page.note, text);
  page.note.hidden = text === "";
}

// What stands in the way, the most pressing first: without a secure address, a key would not help.

const panels = new Panels(
  { panel: find("panel"), title: find("panel-title"), steps: find("panel-steps"), actions: find("panel-actions") },
  ["never", "relay", "unkept", "key", "lens", "ended"],
  { key: find("key-form") },
  arrange,
);

const checkAction = { label: "Check this phone", act: () => sheet.open() };

// The lens

let lensMuted = false;

/** What it said last that keeps it from filming.
 *  @type {import("../lens/lens-problem.js").LensProblem | null} */
let lensProblem = null;

/** Of the present track; "" until its first picture. */
let pictureSize = "";

const lens = new Lens(
  {
    onvideo(track) {
      pictureSize = "";
      page.picture.srcObject = track ? new MediaStream([track]) : null;
      if (track) note("");
      turning.take(track);
      show();
    },
    onaudio(track) {
      meter.listen(track);
      show();
    },
    onmute(muted) {
      lensMuted = muted;
      show();
    },
    onproblem: showLensProblem,
    onsound() {
      listen();
      showSound();
      show();
    },
  },
  {
    sound: query.has("sound") ? query.get("sound") !== "0" : recall(STORED_SOUND) !== "off",
    device: recall(STORED_DEVICE),
    size: wishedSize(),
  },
);

// The microphone, beside what films

const meter = new LevelMeter();
const levelBar = new LevelBar(find("level"));

/** Only zeros come out of the microphone, and the system does not say why. */
let deadMicrophone = false;

/** @returns {import("../lens/microphone.js").Hearing} */
function hearing() {
  return lens.sound === "on" && deadMicrophone ? "silent" : lens.sound;
}

/** How loud is it, and is there anything at all? */
function listen() {
  const now = performance.now();
  meter.look(now);
  if (filming) filming.hears(meter.loudest);
  if (document.visibilityState === "visible") levelBar.show(meter.level, now);
  if (meter.dead === deadMicrophone) return;
  deadMicrophone = meter.dead;
  showSound();
  show();
}

setInterval(listen, LOOK);

const turning = new Turning({ aim: (place) => lens.aim(place), ontell: (axes) => filming && filming.turns(axes) });

/** `?width=&height=&fps=`, for tests and measurements. */
function wishedSize() {
  /** @type {Record<string, number>} */
  const size = {};
  for (const side of ["width", "height", "fps"]) {
    const value = Number(query.get(side));
    if (value > 0) size[side] = value;
  }
  return size;
}

async function askForLens() {
  panels.hide("lens");
  note("Asking for the camera. If the browser asks, allow it.");
  await lens.again();
  arrange();
}

/** @param {import("../lens/lens-problem.js").LensProblem | null} problem */
function showLensProblem(problem) {
  lensProblem = problem;
  if (!problem) {
    panels.hide("lens");
    autostart();
    return;
  }
  note("");
  const never = problem.id === "insecure" || problem.id === "old";
  const alone = { label: "Open by itself", primary: true, href: location.href };
  const again = { label: "Try again", primary: true, act: askForLens };
  const first = never ? [] : [problem.id === "policy" ? alone : again];
  panels.show(never ? "never" : "lens", problem.title, problem.steps, [...first, checkAction]);
}

function showSound() {
  const [label, hint] = SOUND_WORDS[hearing()];
  write(page.soundLabel, label);
  page.soundIcon.setAttribute("href", hearing() === "on" || hearing() === "asking" ? "#icon-microphone" : "#icon-microphone-off");
  write(page.soundHint, hint);
  page.soundHint.hidden = hint === "";
}

/** @returns {string} for the dark screen: that there is no sound, unless the person wants none */
function soundTrouble() {
  return SOUND_WORDS[hearing()][1] ? "no sound" : "";
}

/** The lens has other tracks, or gives nothing for a while. */
function show() {
  if (filming) filming.show({ video: lens.video, audio: lens.audio, muted: lensMuted, still: care.still, sound: hearing() });
  arrange();
}

/** @returns {number | null} pictures that the preview has shown so far, null where it cannot be told */
function picturesShown() {
  const { picture } = page;
  const pictures = picture.paused ? null : picturesOf(picture);
  return (pictures && pictures.total) || null;
}

// The relay's key

/** The relay takes the key no more with which this phone has filmed. */
let lostKey = false;

const desk = new KeyDesk(
  { form: find("key-form"), key: find("key"), hint: find("key-hint") },
  {
    async onallowed(typed) {
      lostKey = false;
      isThere();
      for (const about of ["unkept", "key", "ended"]) panels.hide(about);
      if (typed && !lens.video) await askForLens();
      autostart();
      arrange();
    },
    onasked: askForKey,
    onaway: showAway,
    onlost() {
      if (!filming) return;
      stopFilming();
      wantsStart = lostKey = true;
      askForKey();
    },
  },
);

/** What was said last of a relay that is not to be had. */
let awaySaid = "";

/** The relay is not to be had before filming. @param {import("../../shared/relay/absence.js").Refusal | null} refusal what it says itself */
function showAway(refusal) {
  const away = relay.away();
  const [title, step] = refusal
    ? ["The relay refuses this page", refusalWords(refusal)]
    : away
      ? [awayWords(away), `This page goes on trying. ${away.moved ? "" : causeWords(away)}`.trim()]
      : ["", ""];
  if (filming || title === "" || title + step === awaySaid) return; // while it films, its status says so
  awaySaid = title + step;
  panels.show("relay", title, [step], [checkAction]);
}

function isThere() {
  awaySaid = "";
  panels.hide("relay");
}

function askForKey() {
  isThere();
  if (keepsNoKey(desk.session)) {
    const again = { label: "Try again", primary: true, act: () => desk.open() };
    panels.show("unkept", KEEPS_NO_KEY, stepsToKeep(desk.session), [again, checkAction]);
    return;
  }
  panels.hide("unkept");
  if (lostKey) {
    const steps = [
      `It has ended or was revoked. ${ASK_FOR_LINK}`,
      "Scan the new code with this phone, open the new link, or type the new key: filming then goes on by itself.",
    ];
    panels.show("key", "The relay takes this phone’s key no more", steps, [checkAction]);
    return;
  }
  const where = "it is what stands behind #key= in the link.";
  const steps = [`Scan the code “Film” that the relay prints, or open the link that you were sent, with this phone. Or type the key: ${where}`];
  const why = linkWords(desk.session) || watchesWords(desk.session);
  if (why) steps.unshift(why);
  const title = why && desk.session && desk.session.link ? LINK_OPENS_NOTHING : "This relay asks for a “Film” key";
  panels.show("key", title, steps, [...watchActions(desk.session), checkAction]);
}

/** @param {import("../../shared/types.js").Session | null} session of a browser that may not film @returns {import("./panels.js").Action[]} what it may do */
function watchActions(session) {
  if (!session || !session.viewer) return [];
  const camera = session.watch !== "all" && session.watch.length === 1 ? `?camera=${session.watch[0]}` : "";
  return [{ label: "Watch with this device", href: `/player.html${camera}` }];
}

/** @param {import("../../shared/types.js").Session | null} session of a browser that may not film @returns {string} what its key is for, if it has one */
function watchesWords(session) {
  if (!session || !session.viewer) return "";
  return session.link ? `This link is for watching. ${ASK_FOR_LINK}` : "This browser has a “Watch” key.";
}

// The encoder

const drops = new Drops();

const encoders = new EncoderChoice(lens, page.picture, query, (choice) => {
  const codec = choice.codecs[0] || "";
  const result = choice.delays[codec || "recorder"];
  const delay = result && typeof result === "object" ? result.median : null;
  const none = { dropped: { encoder: 0, network: 0 }, restarts: { video: 0, audio: 0 } };
  showEncoder({ encoder: choice.encoder, codec, delay, remark: choice.remark, ...none });
});

/** @param {Pick<import("../publish/filming.js").Status, "encoder" | "codec" | "delay" | "dropped" | "remark" | "restarts">} facts */
function showEncoder({ encoder, codec, delay, dropped, remark, restarts }) {
  page.camera.dataset.encoder = encoder;
  page.camera.dataset.codec = codec;
  const lately = drops.lately(dropped, performance.now());
  const begun = restarts.video + restarts.audio + care.count;
  write(page.encoder, encoderWords({ encoder, codec, delay, dropped: lately, remark, begun }));
}

// Filming

/** @type {Filming | null} */
let filming = null;
/** What it films as, and what a person calls it. */
let cameraName = "";
let cameraLabel = "";
let wantsStart = query.get("start") === "1";

/** When the relay was there last, ms of performance.now(). */
let reachedAt = 0;

const setup = new SetupForm(
  { form: page.setup, name: find("name"), made: find("name-made"), hint: find("name-hint"), rest: find("rest"), start: page.start },
  query,
  tapStart,
);
const care = new Care(lens, picturesShown, show);
const overload = new Overload();
const wake = new WakeLock(() => undefined);

/** `?start=1` films as soon as there is a picture and the relay lets this browser in. */
function autostart() {
  if (wantsStart && !filming && lens.video && desk.allowed) startFilming();
}

/** A person has tapped "Start filming". What starts by itself, or was asked before, asks nothing. */
async function tapStart() {
  const chosen = wantsStart || !desk.allowed ? null : setup.choose();
  if (!chosen) {
    startFilming();
    return;
  }
  panels.hide("ended");
  page.start.setAttribute("aria-busy", "true");
  const taken = await isOnAir(chosen.name);
  page.start.removeAttribute("aria-busy");
  if (filming) return; // a second tap was faster
  if (!taken) {
    startFilming();
    return;
  }
  const steps = ["Another phone or page films under this name, and a name belongs to one camera at a time. If this phone starts, that one stops."];
  const over = { label: "Film here instead", act: startFilming };
  const other = { label: "Use another name", primary: true, act: chooseName };
  panels.show("ended", `“${isolated(chosen.label)}” is on the air already`, steps, [other, over]);
}

function startFilming() {
  const chosen = setup.choose();
  if (!chosen) {
    wantsStart = false;
    return;
  }
  if (desk.refused) {
    askForKey();
    return;
  }
  wantsStart = false;
  const { name, label } = chosen;
  cameraName = name;
  cameraLabel = label;
  page.title.textContent = label;
  panels.hide("ended");
  setAddress(true);
  const onfit = (/** @type {number} */ scale, /** @type {number} */ most) => lens.fit(scale, most);
  const onorient = (/** @type {import("../../shared/types.js").Place} */ wish) => turning.turn(wish);
  const handlers = { onstatus: showStatus, onend: ended, onfit, onorient };
  filming = new Filming(name, handlers, { choice: encoders.ask(), label, mime: query.get("mime") || "" });
  reachedAt = performance.now();
  care.begin();
  wake.hold();
  show();
  filming.turns(turning.axes);
  filming.start();
  arrange();
}

/** @param {string} [reason] see Filming.stop */
function stopFilming(reason) {
  const ending = filming;
  filming = null; // first: closing the link calls back
  if (ending) ending.stop(reason);
  lens.fit(1, Infinity);
  lens.wake();
  note("");
  wake.release();
  setAddress(false);
  dark.leave();
  titleSays("relay", "");
  arrange();
}

/** The relay has ended it for good. @param {string} reason */
function ended(reason) {
  const moved = filming !== null && filming.link.settled !== null;
  stopFilming();
  if (reason === "revoked" && moved) {
    const steps = ["It has ended or was revoked. The relay has moved, and takes a new one only at its new address."];
    const there = { label: "Look for it", primary: true, href: signpost(lastSession()) };
    panels.show("ended", "The relay takes this phone’s key no more", steps, [there]);
  } else if (reason === "revoked" || reason === "no-key") {
    wantsStart = lostKey = true;
    desk.open(); // which asks for another one
  } else if (reason === "not-allowed") {
    const steps = [`${otherNames(desk.session)} ${ASK_FOR_LINK} Or use another name.`];
    const other = { label: "Use another name", primary: true, act: chooseName };
    panels.show("ended", `This phone’s key is not for “${isolated(cameraLabel)}”`, steps, [other]);
  } else if (reason === "taken-over") {
    const steps = ["It films under this name now, and a name belongs to one camera at a time. This page has stopped."];
    const back = { label: "Take it back", primary: true, act: startFilming };
    panels.show("ended", `Another phone or page is “${isolated(cameraLabel)}” now`, steps, [back, { label: "Use another name", act: chooseName }]);
  } else {
    const again = { label: "Start again", primary: true, act: startFilming };
    panels.show("ended", "The relay has said good-bye", ["Filming has stopped."], [again]);
  }
}

/** @param {import("../../shared/types.js").Session | null} session */
function otherNames(session) {
  const names = session && session.publish !== "all" ? session.publish : [];
  return names.length > 0 && names.length <= MOST_NAMED ? `Your key is for ${names.join(" or ")} only.` : "Your key is for other names.";
}

function chooseName() {
  panels.hide("ended");
  setup.focus();
}

/** A reload, also one by a phone that is short of memory, goes on filming. @param {boolean} on */
function setAddress(on) {
  if (on) {
    query.set("name", cameraLabel);
    query.set("start", "1");
  } else query.delete("start");
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : "") + location.hash);
}

/** A phone that is too slow for the picture's size gets a smaller one. Pictures that the network costs are not the phone's fault: there the
 *  network's steps (network-pace.js) come first, which relieve the phone, too. @param {import("../publish/filming.js").Status} status */
function watchLoad(status) {
  const now = performance.now();
  const shown = picturesShown();
  if (status.state !== "live" || status.thin || drops.lately(status.dropped, now).network > 0 || shown === null) overload.reset();
  else if (overload.judge(shown, status.fps, now)) lens.lower();
}

/** Lets the lens go while nobody watches, if that is wanted, and takes it again. @param {import("../publish/filming.js").Status} status */
function watchRest({ state, reason }) {
  if (state === "gone" || state === "connecting") {
    if (lens.resting) note("The lens is off. It wakes up when the relay is back and somebody watches."); // till then nobody knows who does
    return;
  }
  const rests = setup.restsLens && state === "paused" && reason === "unwatched";
  if (rests) lens.rest();
  else lens.wake();
  if (lens.resting) note("The lens is off. It wakes up as soon as somebody watches.");
  else if (page.picture.srcObject) note("");
}

/** Whether the browser refuses WebSockets, so that the link goes by ordinary requests. */
function goesByRequests() {
  return filming !== null && filming.link.transport === "http";
}

/** @param {import("../publish/filming.js").Status} status */
function showStatus(status) {
  const now = performance.now();
  care.look(status, { muted: lensMuted, now });
  watchRest(status);
  wake.look(now);
  const { videoWidth: width, videoHeight: height } = page.picture;
  const [state, headline, detail] = statusWords(status, { news: care.news(now), width, height, byRequests: goesByRequests() });
  const viewers = viewerWords(status);
  page.status.dataset.state = page.camera.dataset.state = state;
  write(page.status, headline);
  write(page.detail, detail);
  if (status.encoder) showEncoder(status);
  write(page.viewers, viewers);
  write(page.clock, duration(now - status.since));
  const dim = headline[0].toLowerCase() + headline.slice(1);
  write(page.darkText, [isolated(cameraLabel), dim, soundTrouble(), viewers, "touch to wake the screen"].filter(Boolean).join(" · "));
  page.darkText.dataset.state = state;
  watchLoad(status);
  const off = status.state === "gone" || status.state === "connecting";
  titleSays("relay", off && (status.away || status.refusal) ? headline : "");
  if (!off || status.failure) reachedAt = now;
  const lost = off && (status.away !== null || status.refusal !== null || now - reachedAt >= OFFER_AFTER);
  const way = lost && !status.refusal ? signpost(lastSession()) : "";
  page.signpost.hidden = way === "";
  if (way) page.signpost.href = way;
  if (status.state === "gone") desk.check();
}

/** Shows the parts that belong to what is going on. */
function arrange() {
  const onAir = filming !== null;
  const { subject } = panels;
  const blocked = subject !== "" && subject !== "ended" && !onAir;
  page.camera.dataset.mode = onAir ? "filming" : "setup";
  page.camera.dataset.panel = blocked ? "blocking" : String(subject !== "");
  page.setup.hidden = page.heading.hidden = onAir;
  page.onair.hidden = page.stop.hidden = page.dim.hidden = !onAir;
  if (!onAir) page.signpost.hidden = true;
  page.lens.hidden = lens.devices.length < 2;
  if (!page.lens.hidden) write(page.lensLabel, `Use ${lensName(lens.labels, lens.nextIndex)}`);
  page.start.disabled = lens.video === null;
}

// The self-test

const sheet = new SelfTestSheet(
  {
    sheet: find("selftest"),
    under: page.camera,
    title: find("selftest-title"),
    summary: find("selftest-summary"),
    lines: find("selftest-lines"),
    text: find("selftest-text"),
    copy: find("selftest-copy"),
    again: find("selftest-again"),
    close: find("selftest-close"),
  },
  () =>
    new SelfTest({
      lens,
      preview: page.picture,
      problem: () => lensProblem,
      filming: () => (filming ? { status: filming.status, screen: wake.state, byRequests: goesByRequests() } : null),
      ready: () => (lens.video ? encoders.ask() : Promise.resolve()),
    }),
  () => {
    if (!filming && !lens.video && lensProblem && lensProblem.id !== "insecure" && lensProblem.id !== "old") askForLens();
  },
);

// Touches

page.sound.addEventListener("click", () => {
  const on = lens.sound === "off" || lens.sound === "refused" || lens.sound === "missing";
  remember(STORED_SOUND, on ? "on" : "off");
  lens.setSound(on);
});

page.lens.addEventListener("click", async () => {
  page.lens.disabled = true;
  remember(STORED_DEVICE, await lens.next());
  page.lens.disabled = false;
});

// The first picture: time to find out what films best, while a person reads the page.
page.picture.addEventListener("loadeddata", () => {
  if (lens.video) encoders.ask();
});

page.picture.addEventListener("resize", () => {
  const size = `${page.picture.videoWidth}x${page.picture.videoHeight}`;
  if (pictureSize && size !== pictureSize && filming) filming.resized(); // the phone was turned
  pictureSize = size;
  overload.reset();
});

const dark = new DarkScreen({ sheet: find("dark-sheet"), screen: find("dark"), text: page.darkText, under: page.camera }, () => {
  if (filming) page.dim.focus();
});

page.stop.addEventListener("click", () => stopFilming(STOPPED));
page.dim.addEventListener("click", () => dark.enter());
page.check.addEventListener("click", () => sheet.open());

// A page that goes away says good-bye, but not that it was switched off; one that comes back out of the browser's memory films on.
addEventListener("pagehide", () => {
  if (!filming) return;
  filming.stop();
  filming = null;
  wantsStart = true;
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  lens.wake();
  autostart();
});

showSound();
desk.open();
askForLens();

// The self-test of a camera's page: does really, one after the other, what filming needs, and says
// what failed and what to do next.
//
//   const test = new SelfTest({lens, preview, ...});    // see Bench
//   await test.run((lines) => draw(lines));             // never rejects
//   test.text                                           // for somebody who helps
//   test.stop();                                        // lets go of everything at once
//
// It disturbs nothing. What films already is only asked how it goes; no camera's name is taken; a
// camera or a microphone that was not on before is let go afterwards.
//
// Long, because it is a list: seven tests, each of which has some sentences for all that it may
// find.

import { chooseEncoder } from "../encode/encoder-trial.js";
import { refusalWords } from "../../shared/relay/absence.js";
import { codecWord, milliseconds, pictures, rateWords } from "./status-words.js";
import { problemOf } from "../lens/lens-problem.js";
import { SUBPROTOCOL } from "../../shared/relay/relay-link.js";
import {
  browserOf,
  browserWords,
  stepsToAllow,
  stepsToReach,
  stepsToRelieve,
  stepsToStayOn,
  stepsToTrust,
  stepsToUpdate,
} from "../../shared/page/browser-menus.js";
import { Pace } from "../lens/lens-pace.js";
import { AUDIO_TYPES, RecorderEngine, VIDEO_TYPES } from "../encode/media-recorder.js";
import { picturesOf } from "../../shared/page/silent-video.js";
import { WakeLock } from "../../shared/page/wake-lock.js";

/** limits: it works, but not as well as it could; skipped: it could not be tried
 *  @typedef {"waiting" | "running" | "fine" | "limits" | "failed" | "skipped"} Sign */
/**
 * found: what was found, a sentence or two; steps: what to do next; link: an address that belongs
 * to the steps, or ""
 * @typedef {{sign: Sign, found: string, steps: string[], link: string}} Finding
 */
/** @typedef {Finding & {id: string, label: string}} Line */
/**
 * mime: the type that it gave bytes of, or ""; silent: it gave none in its time, and did not break;
 * sound: it records sound
 * @typedef {{mime: string, silent: boolean, sound: boolean}} Recording
 */
/**
 * What the test may use of the page. problem: what keeps the lens from giving a picture, or null;
 * filming: what films now, or null; ready: settled when the page does not itself try its encoders.
 * @typedef {{lens: import("../lens/lens.js").Lens, preview: HTMLVideoElement, problem: () =>
 *            import("../lens/lens-problem.js").LensProblem | null, filming: () => {status:
 *            import("../publish/filming.js").Status, screen:
 *            import("../../shared/page/wake-lock.js").WakeState, byRequests: boolean} | null,
 *            ready: () => Promise<unknown>}} Bench
 */

/** The tests, in their order, and what each is about. @type {[string, string][]} */
export const TESTS = [
  ["page", "Secure page"],
  ["relay", "Relay and key"],
  ["socket", "Live connection"],
  ["camera", "Camera"],
  ["microphone", "Microphone"],
  ["screen", "Screen stays on"],
  ["encoder", "Encoder"],
];

/** Without one of these there is no picture. */
const NEEDED = ["page", "relay", "socket", "camera", "encoder"];

/**
 * Milliseconds for an answer of the relay, of a person whom the browser asks, of the system about
 * its screen, of a recorder (those that write MP4 give their first bytes after a second or two),
 * and for the first picture.
 */
const RELAY_ANSWERS = 8000;
const PERSON_ANSWERS = 30000;
const SCREEN_ANSWERS = 4000;
const RECORDER_WRITES = 6000;
const FIRST_PICTURE = 5000;

/** Milliseconds for which pictures are counted, and between two looks. */
const COUNT_FOR = 1000;
const LOOK = 50;

/** Milliseconds that a slow lens may take for its next picture. */
const SLOW_PICTURE = 6000;

const TOO_BUSY = "This device was too busy or too slow for the rest of this test.";

/** Bytes that a recorder has written of pictures and not only of a header's beginning. */
const WRITTEN = 256;

/** @param {number} ms @returns {Promise<undefined>} */
function sleep(ms) {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms);
  });
}

/**
 * @param {() => boolean} condition
 * @param {number} limit ms
 * @returns {Promise<boolean>} whether it came true
 */
async function comesTrue(condition, limit) {
  const end = performance.now() + limit;
  while (!condition()) {
    if (performance.now() > end) return false;
    await sleep(LOOK);
  }
  return true;
}

/**
 * @param {Sign} sign
 * @param {string} found
 * @param {string[]} [steps]
 * @param {string} [link]
 * @returns {Finding}
 */
function finding(sign, found, steps = [], link = "") {
  return { sign, found, steps, link };
}

/**
 * All in one sentence.
 * @param {Line[]} lines of a test that is over
 * @returns {string}
 */
export function summaryOf(lines) {
  const failed = lines.filter(({ sign }) => sign === "failed");
  const fatal = failed.filter(({ id }) => NEEDED.includes(id));
  if (fatal.length > 0) return `This phone cannot film yet. Begin with “${fatal[0].label}”.`;
  if (lines.some(({ id, sign }) => sign === "skipped" && NEEDED.includes(id)))
    return "What could be tried works. Not everything could.";
  if (failed.length > 0)
    return `This phone can film. Not working: ${failed.map(({ label }) => label.toLowerCase()).join(", ")}.`;
  if (lines.some(({ sign }) => sign === "limits")) return "This phone can film, with limits.";
  return "Everything works.";
}

/**
 * Opens a socket, waits for the relay's welcome, and says good-bye.
 * @param {new (url: string, protocol: string) => any} Kind WebSocket, or what stands in for it
 * @param {string} url
 * @returns {Promise<{end: "welcome" | "closed" | "refused" | "silent", code: number, time: number,
 *     refusal: import("../../shared/relay/absence.js").Refusal | null}>} refused: it never opened,
 *     refusal says why where that is known; closed: it did, but no welcome came, code says why;
 *     silent: nothing happened at all; time: ms
 */
function knock(Kind, url) {
  return new Promise((resolve) => {
    const began = performance.now();
    let opened = false;
    /** @type {any} */
    let socket = null;
    const finish = (/** @type {"welcome" | "closed" | "refused" | "silent"} */ end, code = 0) => {
      clearTimeout(deadline);
      if (socket) {
        socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
        if (socket.readyState <= WebSocket.OPEN) socket.close(1000);
      }
      resolve({
        end,
        code,
        time: performance.now() - began,
        refusal: (socket && socket.refusal) || null,
      });
    };
    const deadline = setTimeout(() => finish("silent"), RELAY_ANSWERS);
    try {
      socket = new Kind(url, SUBPROTOCOL);
    } catch (error) {
      finish("refused");
      return;
    }
    socket.onopen = () => {
      opened = true;
    };
    socket.onmessage = (/** @type {MessageEvent} */ { data }) => {
      if (typeof data === "string" && JSON.parse(data).type === "welcome") finish("welcome");
    };
    socket.onclose = (/** @type {CloseEvent} */ { code }) =>
      finish(opened ? "closed" : "refused", code);
  });
}

/** Knocks with what stands in for a WebSocket. @param {string} url */
async function knockByRequests(url) {
  try {
    const { HttpSocket } = await import("../../shared/relay/http-socket.js"); // seldom needed
    return await knock(HttpSocket, url);
  } catch (error) {
    return null;
  }
}

/** Long, because it is a list of seven tests that hand one another what they have taken. */
export class SelfTest {
  /**
   * @param {Bench} bench
   * @param {import("../../shared/page/browser-menus.js").Browser} [browser] whose menus are named
   */
  constructor(bench, browser = browserOf(navigator)) {
    this.bench = bench;
    this.browser = browser;
    /** @type {Line[]} */
    this.lines = TESTS.map(([id, label]) => Object.assign({ id, label }, finding("waiting", "")));
    /** What the relay says about this browser. @type {any} */
    this.session = null;
    /** Tracks that were asked for here. @type {MediaStreamTrack[]} */
    this.tracks = [];
    /** What plays them. @type {HTMLVideoElement | null} */
    this.video = null;
    /** What the encoders are tried with. @type {MediaStreamTrack | null} */
    this.picture = null;
    /** @type {WakeLock | null} */
    this.lock = null;
    /** @type {RecorderEngine | null} */
    this.recorder = null;
    this.stopped = false;
  }

  /**
   * Runs all tests.
   * @param {(lines: Line[]) => void} onchange with every change, until it is stopped
   */
  async run(onchange) {
    /** @type {Record<string, () => Promise<Finding>>} */
    const tests = {
      page: () => this._page(),
      relay: () => this._relay(),
      socket: () => this._socket(),
      camera: () => this._camera(),
      microphone: () => this._microphone(),
      screen: () => this._screen(),
      encoder: () => this._encoder(),
    };
    for (const line of this.lines) {
      if (this.stopped) break;
      line.sign = "running";
      onchange(this.lines);
      let found;
      try {
        found = await tests[line.id]();
      } catch (error) {
        console.warn(`self-test, ${line.id}:`, error);
        found = finding("failed", `This test broke: ${error}`, [
          "Reload the page, and test again.",
        ]);
      }
      if (!this.stopped) onchange((Object.assign(line, found), this.lines));
    }
    this.stop();
  }

  /** Lets go of whatever it has taken, and tells nobody anything any more. */
  stop() {
    this.stopped = true;
    for (const track of this.tracks) track.stop();
    this.tracks = [];
    if (this.video) this.video.remove();
    if (this.lock) this.lock.release();
    if (this.recorder) this.recorder.stop();
  }

  /** The result for somebody who helps: no key, no name of a camera. */
  get text() {
    const about = [
      `drawercam self-test, ${new Date().toISOString()}`,
      location.origin + location.pathname,
    ];
    const lines = this.lines.map(({ label, sign, found, steps }) =>
      [`[${sign}] ${label}: ${found}`, ...steps.map((step) => `    - ${step}`)].join("\n"),
    );
    return [
      ...about,
      browserWords(this.browser),
      navigator.userAgent,
      "",
      ...lines,
      "",
      summaryOf(this.lines),
    ].join("\n");
  }

  async _page() {
    const { protocol } = location;
    if (window.isSecureContext) {
      return finding(
        "fine",
        protocol === "https:"
          ? "It came by https."
          : "It came from this computer itself, which counts as secure.",
      );
    }
    const found = `Its address begins with ${protocol}// and browsers give a camera only to pages whose address begins with https://.`;
    return finding("failed", found, [
      "Start the relay with --tls, and open the https:// address that it prints, or scan its code.",
    ]);
  }

  async _relay() {
    const began = performance.now();
    const away = (/** @type {string} */ found) => finding("failed", found, this._stepsToReach());
    /** @type {Response | undefined} */
    let answer;
    try {
      answer = await Promise.race([fetch("/api/session"), sleep(RELAY_ANSWERS)]);
    } catch (error) {
      return away("The relay does not answer.");
    }
    if (!answer) return away(`The relay has not answered within ${RELAY_ANSWERS / 1000} seconds.`);
    const time = performance.now() - began;
    let session = null;
    try {
      session = await answer.json();
    } catch (error) {
      // not the relay's
    }
    if (!answer.ok || !session || typeof session.camera !== "boolean") {
      const refusal =
        session && session.error && session.text
          ? { id: String(session.error), text: String(session.text), add: session.add }
          : null;
      const why = refusal ? ` It says: ${refusalWords(refusal)}` : "";
      const steps = [
        "Open the camera’s page at an address that the relay prints, or scan its code.",
      ];
      return finding(
        "failed",
        `Something answers with status ${answer.status}, but not as this page’s relay does.${why}`,
        steps,
      );
    }
    this.session = session;
    const answers = `The relay answers after ${Math.round(time)} ms`;
    if (!session.keys) return finding("fine", `${answers}, and asks nobody for a key.`);
    if (session.camera) return finding("fine", `${answers}, and knows this browser’s “Film” key.`);
    const other = session.viewer
      ? "knows this browser’s “Watch” key, but filming takes a “Film” key"
      : "does not know a key of this browser";
    return finding("failed", `${answers}, but ${other}.`, [
      "Scan the code “Film” that the relay prints, or open the link that you were sent, with this phone. Or type its key on this page.",
      "An old code no longer counts when its key was taken back.",
    ]);
  }

  async _socket() {
    const filming = this.bench.filming();
    const open =
      filming !== null && filming.status.state !== "gone" && filming.status.state !== "connecting";
    if (open && !filming.byRequests)
      return finding("fine", "It is open: the camera on this page uses it now.");
    if (!this.session) return finding("skipped", "Not tried, because the relay does not answer.");
    if (!this.session.viewer && !this.session.camera)
      return finding("skipped", "Not tried, because the relay wants a key first.");
    if (!this.session.viewer && Array.isArray(this.session.publish)) {
      return finding(
        "skipped",
        "Not tried, because this browser’s key is for certain cameras only: filming will tell.",
      );
    }
    // Where this browser may not watch, a camera that nobody knows, and that is gone at once: no
    // other camera's name is touched.
    const path = this.session.viewer
      ? "/wall"
      : `/camera/self-test-${Math.random().toString(36).slice(2, 10)}`;
    const address = new URL(path, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const kind = address.protocol.slice(0, -1);
    const { end, code, time } = await knock(WebSocket, address.href);
    if (end === "welcome")
      return finding("fine", `A WebSocket (${kind}) was open after ${Math.round(time)} ms.`);
    if (end === "closed")
      return finding("failed", `The relay has ended a WebSocket at once, with code ${code}.`, [
        "Restart the relay.",
      ]);
    return this._refused(address.href, path, kind, end);
  }

  /**
   * No WebSocket opened. Was it the browser, the relay, or something between them?
   * @param {string} url that did not open
   * @param {string} path the same for requests
   * @param {string} kind ws or wss
   * @param {"refused" | "silent"} end
   * @returns {Promise<Finding>}
   */
  async _refused(url, path, kind, end) {
    let reached = false;
    try {
      // Whatever the status: the relay was reached by the very same address.
      reached =
        (await Promise.race([fetch(path, { cache: "no-store" }), sleep(RELAY_ANSWERS)])) !==
        undefined;
    } catch (error) {
      // it is away
    }
    if (!reached) return finding("failed", "The relay has gone meanwhile.", this._stepsToReach());
    const byRequests = await knockByRequests(url);
    if (byRequests && byRequests.refusal)
      return finding("failed", "The relay refuses this page.", [refusalWords(byRequests.refusal)]);
    const does = end === "silent" ? "swallows" : "refuses";
    const reaches = `although it reaches the relay by ${location.protocol}//.`;
    const found = `This browser, or something on the way, ${does} WebSockets (${kind}), ${reaches}`;
    const trust = typeof this.session.trust === "string" ? this.session.trust : "";
    const steps =
      kind === "wss"
        ? stepsToTrust(this.browser, trust !== "")
        : [
            "Switch off what filters this browser’s connections: an ad blocker, a virus scanner, a VPN or a proxy.",
          ];
    const link = kind === "wss" ? trust : "";
    if (byRequests && byRequests.end === "welcome") {
      return finding(
        "limits",
        `${found} Ordinary requests carry the pictures instead, which is slower.`,
        steps,
        link,
      );
    }
    return finding("failed", found, steps, link);
  }

  _stepsToReach() {
    return stepsToReach(this.browser, location.protocol === "https:");
  }

  async _camera() {
    const { lens, preview } = this.bench;
    if (this.bench.filming() || lens.resting) {
      if (lens.resting) return finding("fine", "It is off while nobody watches.");
      const problem = this.bench.problem();
      if (problem) return this._trouble(problem, "Camera");
      if (!lens.video)
        return finding("failed", "It films, but there is no picture just now.", [
          "Wait for some seconds, and test again.",
        ]);
    } else if (!lens.video) {
      const asked = await this._ask("video", { facingMode: { ideal: "environment" } });
      if ("sign" in asked) return asked;
      this.picture = asked;
      this.video = playing(asked);
    }
    const track = this.picture || /** @type {MediaStreamTrack} */ (lens.video);
    this.picture = track;
    return this._pictures(track, this.video || preview);
  }

  /** @param {MediaStreamTrack} track @param {HTMLVideoElement} video @returns {Promise<Finding>} */
  async _pictures(track, video) {
    const again = [
      "Close other apps that use the camera.",
      "If it stays like this, restart the phone.",
    ];
    const seen = await comesTrue(
      () => video.videoWidth > 0 && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA,
      FIRST_PICTURE,
    );
    if (track.muted)
      return finding(
        "failed",
        "It is allowed, but the system gives no picture: another app or a call may have it.",
        again,
      );
    if (!seen) return finding("failed", "It is allowed, but gives no picture.", again);
    const size = `${video.videoWidth} × ${video.videoHeight}`;
    if (document.visibilityState !== "visible") return finding("fine", `${size}.`);
    const before = progressOf(video);
    await sleep(COUNT_FOR);
    const { count, time } = progressOf(video);
    if (count > before.count)
      return finding("fine", `${size}, ${pictures(count - before.count)} in a second.`);
    if (count === 0 && time > before.time) return finding("fine", `${size}.`);
    const patience = Math.min(SLOW_PICTURE, new Pace().patience(track, COUNT_FOR));
    if (await comesTrue(() => progressOf(video).count > before.count, patience))
      return finding("fine", `${size}, less than a picture a second.`);
    return finding("failed", `It gives a picture (${size}), which stands still.`, again);
  }

  async _microphone() {
    const { lens } = this.bench;
    if (lens.sound === "off")
      return finding("fine", "Switched off on this page, so it was not tried.");
    if (lens.resting) return finding("fine", "It is off while nobody watches.");
    let track = lens.audio;
    if (!track && this.bench.filming()) {
      if (lens.sound === "asking") return finding("skipped", "The page asks for it just now.");
      return this._trouble(
        { id: /** @type {"busy"} */ (lens.sound), title: "", steps: [], retries: true },
        "Microphone",
      );
    }
    if (!track) {
      const asked = await this._ask("audio", true);
      if ("sign" in asked) return asked;
      track = asked;
    }
    const why =
      "Look for a switch for the microphone, on the phone or in its settings for privacy.";
    if (track.muted)
      return finding("limits", "It is allowed, but the system gives no sound.", [why]);
    return finding("fine", "It is there, and allowed.");
  }

  /**
   * @param {"video" | "audio"} kind
   * @param {MediaTrackConstraints | boolean} wishes
   * @returns {Promise<MediaStreamTrack | Finding>} a track that stop() ends, or why there is none
   */
  async _ask(kind, wishes) {
    const device = kind === "video" ? "Camera" : "Microphone";
    if (!window.isSecureContext)
      return finding("skipped", "Not tried: only a page with a secure address may use it.");
    if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) {
      return finding(
        "failed",
        "This browser gives pages neither camera nor microphone.",
        stepsToUpdate(this.browser),
      );
    }
    let late = false;
    const asking = navigator.mediaDevices.getUserMedia({ [kind]: wishes });
    asking.then(
      (stream) => {
        if (late || this.stopped) for (const track of stream.getTracks()) track.stop();
        else this.tracks.push(...stream.getTracks());
      },
      () => undefined,
    );
    try {
      const stream = await Promise.race([asking, sleep(PERSON_ANSWERS)]);
      if (stream) return stream.getTracks()[0];
      late = true;
      const found = `The browser has said neither yes nor no within ${PERSON_ANSWERS / 1000} seconds.`;
      return finding("failed", found, [
        "If it asks, allow it. If it does not, close this page and open it again, or restart the phone.",
      ]);
    } catch (error) {
      return this._trouble(problemOf(error), device);
    }
  }

  /** @param {import("../lens/lens-problem.js").LensProblem} problem
   *  @param {"Camera" | "Microphone"} device @returns {Finding} */
  _trouble({ id, title, steps }, device) {
    const it = `The ${device.toLowerCase()}`;
    if (id === "refused")
      return finding("failed", `${it} is not allowed.`, stepsToAllow(this.browser, device));
    if (device === "Camera") return finding("failed", `${title}.`, steps);
    if (id === "missing") {
      return finding("failed", "There is no microphone, so this phone films without sound.", [
        "If it is unplugged, plug it in.",
      ]);
    }
    if (id === "policy") return finding("failed", `${title}.`, steps);
    return finding("failed", `${it} does not start; another app may have it.`, [
      "Close other apps that use it, or restart the phone.",
    ]);
  }

  async _screen() {
    const filming = this.bench.filming();
    let state = filming ? filming.screen : "none";
    if (!filming) {
      const lock = (this.lock = new WakeLock(() => undefined));
      lock.hold();
      await comesTrue(() => lock.state !== "none" || this.stopped, SCREEN_ANSWERS);
      state = lock.state;
      lock.release();
    }
    if (state === "held") return finding("fine", "The system keeps it on while this page films.");
    if (state === "fallback") {
      return finding(
        "limits",
        "The system gives no lock for it, so a small hidden video keeps it on.",
        stepsToStayOn(this.browser),
      );
    }
    return finding(
      "failed",
      "Nothing keeps it on, and a phone whose screen is off films nothing.",
      stepsToStayOn(this.browser),
    );
  }

  async _encoder() {
    const filming = this.bench.filming();
    if (filming) return encoderAtWork(filming.status);
    const track = this.picture;
    if (!track || track.readyState === "ended")
      return finding("skipped", "Not tried, because there is no picture.");
    await this.bench.ready(); // two tests at once would slow each other
    const choice = await chooseEncoder(track, this.video || this.bench.preview, "");
    const recorder = await this._records(track);
    return encoderFinding(choice, recorder, this.browser);
  }

  /** Records really. @param {MediaStreamTrack} track @returns {Promise<Recording>} */
  async _records(track) {
    if (typeof MediaRecorder === "undefined") return { mime: "", silent: false, sound: false };
    let mime = "";
    let written = 0;
    let failed = false;
    const recorder = (this.recorder = new RecorderEngine(
      1,
      {
        onstart: (type) => {
          mime = type;
        },
        onbytes: (bytes) => {
          written += bytes instanceof Blob ? bytes.size : bytes.byteLength;
        },
        onfailure: () => {
          failed = true;
        },
      },
      { types: VIDEO_TYPES },
    ));
    recorder.start(track);
    await comesTrue(() => written > WRITTEN || failed || this.stopped, RECORDER_WRITES);
    recorder.stop();
    const sound = AUDIO_TYPES.some((type) => MediaRecorder.isTypeSupported(type));
    return { mime: written > WRITTEN ? mime : "", silent: written <= WRITTEN && !failed, sound };
  }
}

/**
 * What encodes here. What gave nothing in the time of a test may only have been too slow: that is
 * no lack of the browser's, which an update would mend.
 * @param {import("../encode/encoder-trial.js").Choice} choice
 * @param {Recording} recorder
 * @param {import("../../shared/page/browser-menus.js").Browser} browser
 * @returns {Finding}
 */
export function encoderFinding(choice, recorder, browser) {
  const parts = [];
  for (const codec of Object.keys(choice.delays)) {
    const result = choice.delays[codec];
    const worked = codec !== "recorder" && result && typeof result === "object";
    if (worked)
      parts.push(
        `WebCodecs ${codecWord(codec)}, ${milliseconds(result.median)} to encode a picture`,
      );
  }
  const byCodecs = parts.length > 0;
  const slowCodecs = !byCodecs && choice.codecs.length + choice.spare.length > 0;
  if (recorder.mime) parts.push(`the browser’s recorder, ${recorder.mime}`);
  const busy = slowCodecs || (parts.length === 0 && recorder.silent);
  const lacks = [];
  if (!byCodecs && !busy && recorder.mime.includes("mp4"))
    lacks.push("It writes in pieces, so viewers see everything a second or two late.");
  else if (!byCodecs && !busy)
    lacks.push("Without WebCodecs, viewers wait longer for their first picture.");
  if (!choice.sound && !recorder.sound) lacks.push("Sound cannot be encoded.");
  const limits = busy ? [TOO_BUSY, ...lacks] : lacks;
  const steps = [
    ...(busy ? stepsToRelieve(browser) : []),
    ...(lacks.length > 0 ? stepsToUpdate(browser) : []),
  ];
  if (parts.length === 0)
    return finding(
      "failed",
      busy ? limits.join(" ") : "No encoder of this browser gives anything.",
      steps,
    );
  const found = [`What works: ${parts.join("; ")}.`, ...limits].join(" ");
  return limits.length > 0 ? finding("limits", found, steps) : finding("fine", found);
}

/** @param {MediaStreamTrack} track @returns {HTMLVideoElement} that plays it, too small to see */
function playing(track) {
  const video = document.createElement("video");
  video.className = "source-video";
  video.muted = video.autoplay = video.playsInline = true;
  video.setAttribute("playsinline", "");
  video.setAttribute("aria-hidden", "true");
  video.srcObject = new MediaStream([track]);
  document.body.append(video);
  video.play().catch(() => undefined);
  return video;
}

/**
 * @param {HTMLVideoElement} video
 * @returns {{count: number, time: number}} pictures it has shown, 0 where they are not counted;
 *   seconds
 */
function progressOf(video) {
  const pictures = picturesOf(video);
  return { count: pictures ? pictures.total : 0, time: video.currentTime };
}

/** @param {import("../publish/filming.js").Status} status @returns {Finding} */
function encoderAtWork({ encoder, codec, delay, failure, fps }) {
  if (failure)
    return finding("failed", failure, [
      "Stop, and start again.",
      "If it stays like this, reload the page.",
    ]);
  if (encoder === "") return finding("skipped", "Filming has not begun yet.");
  const name = encoder === "codecs" ? `WebCodecs, ${codecWord(codec)}` : "the browser’s recorder";
  const rate = fps ? `, ${rateWords(fps)}` : "";
  return finding(
    "fine",
    `It films with ${name}${delay === null ? "" : `, ${milliseconds(delay)} to encode a picture`}${rate}.`,
  );
}

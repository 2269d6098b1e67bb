// The engine of single pictures: for browsers that play no video of this codec, neither with
// WebCodecs nor with MediaSource. The relay decodes (docs/protocol.md, "Pictures"), and this engine
// asks for one picture after the other: always for the newest, and never for a second one before
// the first is here. So it can never be behind, and a slow network or a slow computer shows fewer
// pictures.

import { Deadline } from "../../shared/relay/deadline.js";

/** @typedef {import("../../shared/types.js").Engine} Engine */

/**
 * Milliseconds between two questions at least: 20 pictures a second are as many as such a browser
 * needs, and half of what 30 would cost.
 */
const LEAST_PAUSE = 50;

/** The relay answers within 10 s. For so long (ms) its answer is waited for. */
const ANSWER_LIMIT = 15000;

/**
 * After a question without a picture the next one waits for so long (ms), and each time for twice
 * as long.
 */
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 4000;

/**
 * Pictures in a row that came and could not be shown, after which it gives up: one alone may be
 * broken.
 */
const MOST_FAILURES = 3;

/**
 * Pictures are asked for in widths of so many pixels and multiples of it, so that tiles of about
 * one size share theirs.
 */
const WIDTH_STEP = 320;

/** The widest that the relay gives, pixels. */
const MOST_WIDTH = 4096;

function isHidden() {
  return document.visibilityState !== "visible";
}

/** @param {Blob} jpeg @returns {Promise<ImageBitmap | HTMLImageElement>} */
async function decode(jpeg) {
  if ("createImageBitmap" in window) return createImageBitmap(jpeg);
  const image = new Image();
  const address = URL.createObjectURL(jpeg);
  try {
    image.src = address;
    await image.decode();
  } finally {
    URL.revokeObjectURL(address);
  }
  return image;
}

/** @implements {Engine} */
export class JpegEngine {
  /**
   * @param {HTMLElement} view where the picture goes
   * @param {string} name of the camera
   * @param {boolean} watched see setWatched
   * @param {import("../../shared/relay/relay-link.js").Place | null} place see setPlace
   * @param {import("../../shared/types.js").EngineHandlers & {onarrival: (timestamp: number) =>
   *        void}} handlers onarrival: a picture of this time (µs of the relay's clock) has come
   */
  constructor(view, name, watched, place, handlers) {
    this.name = "jpeg";
    this.address = `/cameras/${name}/latest.jpg`;
    this.view = view;
    this.handlers = handlers;
    /**
     * received: pictures that came; fed: those given to the browser to decode.
     * @type {import("../../shared/types.js").EngineStats}
     */
    this.stats = { received: 0, fed: 0, shown: 0, dropped: 0, bufferedAhead: 0, stalls: 0 };
    this.canvas = document.createElement("canvas");
    this.pen = this.canvas.getContext("2d", { alpha: false });
    view.append(this.canvas);
    this.closed = false;
    /** Why the relay gave no picture to the last question, in its words; "" if it did. */
    this.refusal = "";
    this.watched = watched;
    this.place = place;
    /** Time of the newest picture that came, µs; -1 where any will do. */
    this.newest = -1;
    this.pause = 0;
    this.failures = 0;
    /** The question under way. @type {Deadline | null} */
    this.question = null;
    /** Ends a pause. @type {() => void} */
    this.wake = () => {};
    this.run();
  }

  /** A track begins: its times may be of another clock, and there is something to see. */
  track() {
    this.newest = -1;
    this.pause = 0;
    if (this.question) this.question.abort();
    this.wake();
  }

  frame() {
    // The relay has it too.
  }

  /**
   * @param {boolean} watched whether anybody can see the pictures: if not, none are asked for, and
   *   the camera may sleep
   */
  setWatched(watched) {
    this.watched = watched;
    this.pause = 0;
    if (!watched && this.question) this.question.abort();
    this.wake();
  }

  /**
   * @param {import("../../shared/relay/relay-link.js").Place | null} place where the relay is, null
   *   at the page's own origin
   */
  setPlace(place) {
    if ((place && place.base) === (this.place && this.place.base)) return;
    this.place = place;
    this.track(); // it is another relay, as far as its clock goes
  }

  retire() {
    this.closed = true;
    if (this.question) this.question.abort();
    this.wake();
  }

  close() {
    this.retire();
    this.canvas.remove();
  }

  async run() {
    while (!this.closed) {
      const begun = performance.now();
      if (this.watched) {
        try {
          await this.next();
          this.pause = 0;
        } catch (error) {
          // What is wrong with the camera is said over the socket; here it is only asked again.
          // By this page, or after a long time.
          const aborted = error instanceof DOMException && error.name === "AbortError";
          this.pause = aborted ? 0 : Math.min(LONGEST_PAUSE, Math.max(FIRST_PAUSE, 2 * this.pause));
        }
      }
      if (this.closed) return;
      // A hidden page that is watched (picture-in-picture.js) might be woken once a minute only.
      // The relay waits for a new picture anyway.
      if (this.watched && this.pause === 0 && isHidden()) continue;
      await this.rest(
        this.watched ? Math.max(this.pause, begun + LEAST_PAUSE - performance.now()) : Infinity,
      );
    }
  }

  /** @param {number} time ms; it ends before when something has changed @returns {Promise<void>} */
  rest(time) {
    return new Promise((resolve) => {
      const timer = time < Infinity ? setTimeout(resolve, time) : 0;
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Asks for a picture and shows it. */
  async next() {
    const question = new Deadline(ANSWER_LIMIT);
    this.question = question;
    const { newest } = this;
    try {
      const answer = await question.within(this.ask(question.signal));
      if (answer.status === 501) return this.fail("the relay makes no pictures");
      this.refusal = answer.ok ? "" : (await answer.json()).text;
      if (!answer.ok) throw new Error(this.refusal);
      if (answer.status === 204) return; // the camera has sent nothing new
      const jpeg = await question.within(answer.blob());
      if (newest !== this.newest) return; // it is of a track that is over
      this.newest = Number(answer.headers.get("Drawercam-Time"));
      this.stats.received += 1;
      this.handlers.onarrival(this.newest);
      await this.tryToShow(jpeg, this.newest, question);
    } finally {
      question.clear();
      this.question = null;
    }
  }

  /** @param {AbortSignal | undefined} signal @returns {Promise<Response>} */
  ask(signal) {
    const { place } = this;
    if (!place) return fetch(this.query(), { cache: "no-store", signal });
    const headers = { "Drawercam-Ticket": place.ticket }; // this origin's cookie does not go there
    return fetch(new URL(this.query(), place.base).href, {
      cache: "no-store",
      credentials: "omit",
      headers,
      signal,
    });
  }

  /** @returns {string} path and query */
  query() {
    const pixels = Math.ceil((this.view.clientWidth * devicePixelRatio) / WIDTH_STEP) * WIDTH_STEP;
    const width = `width=${Math.min(MOST_WIDTH, Math.max(WIDTH_STEP, pixels))}`;
    return `${this.address}?${width}${this.newest < 0 ? "" : `&after=${this.newest}`}`;
  }

  /**
   * @param {Blob} jpeg
   * @param {number} timestamp µs of the relay's clock
   * @param {Deadline} question its answer, unless it was aborted
   */
  async tryToShow(jpeg, timestamp, question) {
    try {
      await this.show(jpeg, timestamp, question);
      this.failures = 0;
    } catch (error) {
      this.failures += 1;
      if (this.failures === MOST_FAILURES) return this.fail(String(error));
      throw error;
    }
  }

  /** @param {Blob} jpeg @param {number} timestamp @param {Deadline} question as above */
  async show(jpeg, timestamp, question) {
    this.stats.fed += 1;
    const picture = await decode(jpeg);
    const { width, height } = picture;
    const { canvas, pen } = this;
    if (!this.closed && !question.aborted && pen) {
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
      }
      pen.drawImage(picture, 0, 0);
      this.stats.shown += 1;
      const seen = (/** @type {number} */ moment) => {
        if (!this.closed) this.handlers.onpicture(timestamp, width, height, moment);
      };
      // The moment of the refresh itself: what else the page does in it is not this picture's
      // delay. A hidden page has none.
      if (isHidden()) seen(performance.now());
      else requestAnimationFrame(seen);
    }
    if ("close" in picture) picture.close();
  }

  /** @param {string} reason */
  fail(reason) {
    if (this.closed) return;
    this.retire();
    this.handlers.onfail(reason);
  }
}

// Looks at what a page shows: reads the painted clock from the pixels of its picture at every
// refresh of the screen.
//
// It runs before any page's own scripts, in every page; where there is no picture it does nothing.
// The page's picture is the newest <canvas> or <video> inside an element of class `picture` of a
// tile (player.html), or of class `bench-view` (the bench's own pages).
//
//   bench.take()     what was seen and heard since the last call, see Report
//   bench.skew()     ms by which the camera page's clock is ahead of this page's
//   bench.arrival()  how soon this viewer saw something, see Arrival

self.bench = (() => {
  /**
   * origin: performance.timeOrigin; all other moments are ms of performance.now(). samples:
   * [moment, delay (ms), painted time (ms), flash (0 or 1)] of each new picture; unreadable: reads
   * that gave no time, after the first that did; heard: moments of beeps; facts: what the tile said
   * of itself, four times a second, with the moment as `at`. smudged: moments of new pictures whose
   * time could not be read.
   * @typedef {{origin: number, begun: number, ended: number, samples: number[][], smudged:
   *             number[], unreadable: number, reads: number, heard: number[], facts: object[],
   *             width: number, height: number}} Report
   */

  /**
   * opened: when the player's socket was opened, null if nobody can tell; seen, delay: the first
   * painted clock that was read, and how old it was; live: the first with a delay below LIVE.
   * Moments are ms of performance.now().
   * @typedef {{opened: number | null, seen: number | null, delay: number | null, live: number |
   *   null}} Arrival
   */

  /** Milliseconds: a picture that is not older shows what happens now. */
  const LIVE = 300;

  /**
   * Luminance (0 to 255) by which a cell of another picture differs: no picture has the same time
   * in it.
   */
  const NOISE = 8;

  /** Milliseconds between two looks at what the tile says. */
  const FACTS_INTERVAL = 250;

  /**
   * Pings of the clock comparison, of which the one with the shortest round trip counts, and ms
   * between them.
   */
  const PINGS = 40;
  const PING_PAUSE = 5;

  const channel =
    typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("bench-clock");
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (data.asked !== undefined && isCamera())
        channel.postMessage({ answered: data.asked, time: PaintedClock.now() });
    };
  }

  const isCamera = () =>
    location.pathname === "/camera.html" ||
    new URLSearchParams(location.search).get("role") === "camera";

  /** @type {Arrival} */
  const first = { opened: null, seen: null, delay: null, live: null };

  // Where the player's socket is in the page. One in a worker is not seen here; then the tile tells
  // when it was opened.
  const Native = self.WebSocket;
  self.WebSocket = class extends Native {
    /** @param {string | URL} url @param {string | string[]} [protocols] */
    constructor(url, protocols = []) {
      super(url, protocols);
      if (!new URL(url, location.href).pathname.startsWith("/player/")) return;
      this.addEventListener("open", () => {
        if (first.opened === null) first.opened = performance.now();
      });
    }
  };

  /** @type {number[][]} */
  let samples = [];
  /** @type {number[]} */
  let smudged = [];
  /** @type {object[]} */
  let facts = [];
  let begun = 0;
  let unreadable = 0;
  let reads = 0;
  let size = { width: 0, height: 0 };

  /** @type {number | null} */
  let shown = null;

  /** The cells that were seen last. @type {number[]} */
  let seen = [];

  /**
   * The refresh that was looked at last: a video's own callback and the page's may come in the same
   * one.
   * @type {CSSNumberish | null}
   */
  let refresh = null;

  /** @type {WeakSet<Element>} */
  const watched = new WeakSet();

  /** @returns {any} */
  function surface() {
    const all = document.querySelectorAll(
      ".tile .picture canvas, .tile .picture video, .bench-view video",
    );
    return all.length > 0 ? all[all.length - 1] : null;
  }

  function look() {
    // Chrome before 84 has none, and no such callbacks.
    const present = document.timeline ? document.timeline.currentTime : performance.now();
    if (present === refresh) return;
    const picture = surface();
    if (!picture) return;
    refresh = present;
    const isVideo = picture instanceof HTMLVideoElement;
    const width = isVideo ? picture.videoWidth : picture.width;
    const height = isVideo ? picture.videoHeight : picture.height;
    if (width === 0 || (isVideo && picture.readyState < HTMLMediaElement.HAVE_CURRENT_DATA)) return;
    const at = performance.now();
    // Before the reading: what that takes is not the picture's delay.
    const moment = PaintedClock.now();
    const cells = PaintedClock.cells(picture, width, height);
    const changed =
      seen.length > 0 && cells.some((light, cell) => Math.abs(light - seen[cell]) > NOISE);
    seen = cells;
    const found = PaintedClock.decode(cells);
    reads += 1;
    if (found === null) {
      if (changed) smudged.push(at);
      if (shown !== null) unreadable += 1;
      return;
    }
    size = { width, height };
    const { painted, flash } = found;
    if (painted === shown) return;
    shown = painted;
    const delay = PaintedClock.until(painted, moment);
    samples.push([at, delay, painted, flash ? 1 : 0]);
    if (first.seen === null) Object.assign(first, { seen: at, delay });
    if (first.live === null && delay < LIVE) first.live = at;
  }

  (function everyRefresh() {
    requestAnimationFrame(everyRefresh);
    look();
    const picture = surface();
    if (!picture || !picture.requestVideoFrameCallback || watched.has(picture)) return;
    watched.add(picture);
    (function everyFrame() {
      look();
      if (picture.isConnected) picture.requestVideoFrameCallback(everyFrame);
    })();
  })();

  /** What the tile says of itself, null where there is none. @returns {any} */
  function tileFacts() {
    const element = /** @type {any} */ (document.querySelector(".tile"));
    return element && element.tile ? element.tile.stats() : null;
  }

  setInterval(() => {
    const told = tileFacts();
    if (told) facts.push({ ...told, at: performance.now() });
  }, FACTS_INTERVAL);

  /** @returns {Report} */
  function take() {
    const ended = performance.now();
    const report = {
      origin: performance.timeOrigin,
      begun,
      ended,
      samples,
      smudged,
      unreadable,
      reads,
      heard: ears.take(),
      facts,
      ...size,
    };
    [samples, smudged, facts] = [[], [], []];
    unreadable = reads = 0;
    begun = ended;
    return report;
  }

  /** @returns {Arrival} */
  function arrival() {
    const told = tileFacts();
    const opened = told && told.opened ? told.opened - performance.timeOrigin : first.opened;
    return { ...first, opened };
  }

  /** @returns {Promise<{skew: number, trip: number}>} as NTP does it */
  async function skew() {
    let best = { skew: 0, trip: Infinity };
    for (let number = 0; number < PINGS; number += 1) {
      const port = new BroadcastChannel("bench-clock");
      const asked = PaintedClock.now();
      const time = await new Promise((resolve) => {
        port.onmessage = ({ data }) => {
          if (data.answered === asked) resolve(data.time);
        };
        port.postMessage({ asked });
      });
      const answered = PaintedClock.now();
      port.close();
      const trip = answered - asked;
      if (trip < best.trip) best = { skew: time - (asked + answered) / 2, trip };
      await new Promise((resolve) => setTimeout(resolve, PING_PAUSE));
    }
    return best;
  }

  return { take, skew, arrival };
})();

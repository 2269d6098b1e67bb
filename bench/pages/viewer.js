// Looks at what a page shows: reads the painted clock from the pixels of its picture at every refresh of the screen.
//
// It runs before any page's own scripts, in every page; where there is no picture it does nothing. The page's picture is the newest <canvas> or
// <video> inside an element of class `tile` (player.html) or `bench-view` (the bench's own pages).
//
//   bench.begin()   forgets everything seen so far
//   bench.report()  what was seen since then, see Report
//   bench.skew()    ms by which the camera page's clock is ahead of this page's
//   bench.first     {opened, seen, delay}: ms of performance.now() of the player's WebSocket and of the first decoded clock, and its delay

globalThis.bench = (() => {
  /** @typedef {{origin: number, begun: number, ended: number, samples: number[][], unreadable: number, reads: number, width: number, height: number}} Report
   *  samples: [time (ms of performance.now()), delay (ms), painted time (ms)] of each new picture; unreadable: reads that gave no time, after the first that did */

  /** Pings of the clock comparison, of which the one with the shortest round trip counts, and ms between them. */
  const PINGS = 40;
  const PING_PAUSE = 5;

  const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("bench-clock");
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (data.asked !== undefined && isCamera()) channel.postMessage({ answered: data.asked, time: PaintedClock.now() });
    };
  }

  const isCamera = () => location.pathname === "/camera.html" || new URLSearchParams(location.search).get("role") === "camera";

  /** @type {{opened: number | null, seen: number | null, delay: number | null}} */
  const first = { opened: null, seen: null, delay: null };

  const Native = globalThis.WebSocket;
  globalThis.WebSocket = class extends Native {
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
  let begun = 0;
  let unreadable = 0;
  let reads = 0;
  let size = { width: 0, height: 0 };

  /** @type {number | null} */
  let shown = null;

  /** The refresh that was looked at last: a video's own callback and the page's may come in the same one. @type {CSSNumberish | null} */
  let refresh = null;

  /** @type {WeakSet<Element>} */
  const watched = new WeakSet();

  /** @returns {any} */
  function surface() {
    const all = document.querySelectorAll(".tile canvas, .tile video, .bench-view video");
    return all.length > 0 ? all[all.length - 1] : null;
  }

  function look() {
    if (document.timeline.currentTime === refresh) return;
    const picture = surface();
    if (!picture) return;
    refresh = document.timeline.currentTime;
    const width = picture.videoWidth ?? picture.width;
    const height = picture.videoHeight ?? picture.height;
    if (width === 0 || (picture.readyState ?? HTMLMediaElement.HAVE_CURRENT_DATA) < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    const at = performance.now();
    const moment = PaintedClock.now(); // before the reading: what that takes is not the picture's delay
    const painted = PaintedClock.read(picture, width, height);
    reads += 1;
    if (painted === null) {
      if (shown !== null) unreadable += 1;
      return;
    }
    size = { width, height };
    if (painted === shown) return;
    shown = painted;
    const delay = PaintedClock.until(painted, moment);
    samples.push([at, delay, painted]);
    if (first.seen === null) Object.assign(first, { seen: at, delay });
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

  function begin() {
    samples = [];
    unreadable = reads = 0;
    begun = performance.now();
  }

  /** @returns {Report} */
  function report() {
    return { origin: performance.timeOrigin, begun, ended: performance.now(), samples, unreadable, reads, ...size };
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

  return { begin, report, skew, first };
})();

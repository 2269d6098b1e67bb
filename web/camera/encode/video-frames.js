// The pictures of a track as VideoFrames, as soon as the browser has them.
//
//   const pictures = new Pictures({
//     // frame.timestamp is when it was captured: µs of performance.now(), strictly rising. You
//     // close it.
//     onpicture(frame) {},
//     onfailure(text) {},      // it is stopped then
//   }, {drawn: false});
//   if (Pictures.able()) pictures.start(track);
//   pictures.stop();
//
// Chrome hands out a track's pictures themselves (MediaStreamTrackProcessor, W3C
// mediacapture-transform). Firefox and Safari do not do that in a page; there a hidden <video>
// plays the track, and requestVideoFrameCallback (WICG video-rvfc) tells of each new picture.
// `drawn` puts each picture on a canvas first: WebKitGTK's encoders refuse pictures that a <video>
// has put into the memory of its graphics card.

import { CaptureClock } from "./capture-clock.js";
import { silentVideo } from "../../shared/page/silent-video.js";

/** A capture time that lies further back (ms) is on another clock than ours. */
const OLDEST = 1000;

/** Milliseconds that a picture on its way may take when nobody wants any more. */
const LAST_PICTURE = 1000;

export class Pictures {
  /** Whether this browser gives them at all. @returns {boolean} */
  static able() {
    return (
      typeof VideoFrame === "function" &&
      (hasProcessor() || "requestVideoFrameCallback" in HTMLVideoElement.prototype)
    );
  }

  /** Whether it matters what `drawn` says. @returns {boolean} */
  static mayDraw() {
    return !hasProcessor();
  }

  /**
   * @param {{onpicture: (frame: VideoFrame) => void, onfailure: (text: string) => void}} handlers
   * @param {{drawn: boolean}} options
   */
  constructor(handlers, { drawn }) {
    this.handlers = handlers;
    this.pen = drawn ? document.createElement("canvas").getContext("2d", { alpha: false }) : null;
    /** @type {ReadableStreamDefaultReader<VideoFrame> | null} */
    this.reader = null;
    /** @type {HTMLVideoElement | null} */
    this.video = null;
    this.clock = new CaptureClock();
    this.last = 0;
  }

  /** @param {MediaStreamTrack} track a live one */
  start(track) {
    this.stop();
    this.clock = new CaptureClock();
    if (hasProcessor()) this._read(track);
    else this._watch(track);
  }

  stop() {
    // A picture that is on its way would get lost, unclosed, in a stream cancelled now: the loop
    // cancels it when that one has come.
    if (this.reader) setTimeout(cancel, LAST_PICTURE, this.reader);
    this.reader = null;
    if (this.video) {
      this.video.srcObject = null;
      this.video.remove();
    }
    this.video = null;
  }

  /** @param {MediaStreamTrack} track */
  async _read(track) {
    // One picture may wait: when this page is late, the newest replaces it.
    const processor = new /** @type {any} */ (window).MediaStreamTrackProcessor({
      track,
      maxBufferSize: 1,
    });
    const reader = processor.readable.getReader();
    this.reader = reader;
    let why = "the browser gives no more pictures";
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        if (this.reader !== reader) {
          value.close();
          cancel(reader);
          return;
        }
        try {
          this._give(value, this.clock.place(value.timestamp / 1000, performance.now()));
        } finally {
          value.close();
        }
      }
    } catch (error) {
      why = String(error);
    }
    if (this.reader === reader) this._fail(track, why);
  }

  /** @param {MediaStreamTrack} track */
  _watch(track) {
    const video = silentVideo();
    video.className = "source-video";
    video.srcObject = new MediaStream([track]);
    document.body.append(video);
    this.video = video;
    const next = (/** @type {number} */ _now, /** @type {any} */ told) => {
      if (this.video !== video) return;
      ask();
      const now = performance.now();
      // Where the capture is not told (Firefox) it is now: mediaTime runs neither evenly nor at the
      // pace of the clock there.
      const known = told.captureTime > now - OLDEST && told.captureTime <= now;
      try {
        this._give(this.pen ? this._draw(this.pen, video) : video, known ? told.captureTime : now);
      } catch (error) {
        this._fail(track, String(error));
      }
    };
    const ask = () => /** @type {any} */ (video).requestVideoFrameCallback(next);
    ask();
    // A browser pauses what nobody sees; it must go on when the page is back.
    video.onpause = () => setTimeout(() => this._play(video, track), 0);
    this._play(video, track);
  }

  /** @param {HTMLVideoElement} video @param {MediaStreamTrack} track */
  async _play(video, track) {
    try {
      if (this.video === video) await video.play();
    } catch (error) {
      const given = /** @type {DOMException} */ (error).name === "AbortError"; // by this page
      if (this.video === video && document.visibilityState === "visible" && !given)
        this._fail(track, String(error));
    }
  }

  /** @param {CanvasRenderingContext2D} pen @param {HTMLVideoElement} video */
  _draw(pen, video) {
    const { videoWidth, videoHeight } = video;
    if (pen.canvas.width !== videoWidth || pen.canvas.height !== videoHeight) {
      pen.canvas.width = videoWidth;
      pen.canvas.height = videoHeight;
    }
    pen.drawImage(video, 0, 0);
    return pen.canvas;
  }

  /**
   * @param {VideoFrame | HTMLVideoElement | HTMLCanvasElement} source
   * @param {number} captured ms, performance.now()
   */
  _give(source, captured) {
    this.last = Math.max(this.last + 1, Math.round(captured * 1000));
    this.handlers.onpicture(new VideoFrame(source, { timestamp: this.last }));
  }

  /** @param {MediaStreamTrack} track @param {string} why */
  _fail(track, why) {
    this.stop();
    if (track.readyState === "live") this.handlers.onfailure(why);
  }
}

/**
 * How a picture lies in its memory, which is what encoders see: they look neither at its rotation
 * nor at its flip (WebCodecs; Chrome 138).
 * @param {VideoFrame} frame
 * @returns {{width: number, height: number, rotation: number, flip: boolean}} pixels before it is
 *     turned; rotation: degrees clockwise; flip: mirrored after that
 */
export function layOf(frame) {
  const { displayWidth, displayHeight } = frame;
  const { rotation = 0, flip = false } = /** @type {any} */ (frame);
  const aside = rotation % 180 !== 0;
  return {
    width: aside ? displayHeight : displayWidth,
    height: aside ? displayWidth : displayHeight,
    rotation,
    flip,
  };
}

/** @param {ReadableStreamDefaultReader<VideoFrame>} reader */
function cancel(reader) {
  reader.cancel().catch(() => undefined);
}

function hasProcessor() {
  return typeof (/** @type {any} */ (window).MediaStreamTrackProcessor) === "function";
}

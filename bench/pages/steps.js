// What the pages themselves see of a picture's way, beside what the tile tells (--steps). It runs
// last of the bench's scripts, before any page's own ones, and slows a page down a little: the
// delays of a run with it are not for comparing. What happens in a worker is not seen.
//
//   steps.take()   what was noted since the last call: {encoder, encoded, presented}
//
//   encoder     "VideoEncoder" or "MediaRecorder": what encodes in this page; "" if nothing does
//   encoded     ms from painting a picture to its bytes. A MediaRecorder does not say which picture
//               its bytes are: it is the newest
//   presented   [moment, painted]: the page was told that a <video> shows a picture; ms of
//               PaintedClock.now(), and the painted time

globalThis.steps = (() => {
  let encoder = "";
  /** @type {number[]} */
  let encoded = [];
  /** @type {number[][]} */
  let presented = [];

  /** When the newest picture was painted, until its bytes have come. @type {number | null} */
  let newest = null;
  const { paint } = PaintedClock;
  PaintedClock.paint = (pen, width, height) => {
    newest = PaintedClock.now();
    paint(pen, width, height);
  };

  const NativeRecorder = globalThis.MediaRecorder;
  globalThis.MediaRecorder = class extends NativeRecorder {
    /** @param {MediaStream} stream @param {MediaRecorderOptions} [options] */
    constructor(stream, options) {
      super(stream, options);
      if (stream.getVideoTracks().length === 0) return;
      encoder = "MediaRecorder";
      this.addEventListener("dataavailable", (event) => {
        if (event.data.size === 0 || newest === null) return;
        encoded.push(PaintedClock.now() - newest);
        newest = null;
      });
    }
  };

  if (globalThis.VideoEncoder) {
    const NativeEncoder = globalThis.VideoEncoder;
    globalThis.VideoEncoder = class extends NativeEncoder {
      /** @param {VideoEncoderInit} init */
      constructor(init) {
        /**
         * Painted times by timestamp, of pictures that are being encoded.
         * @type {Map<number, number>}
         */
        const waiting = new Map();
        super({
          ...init,
          output: (chunk, metadata) => {
            const moment = PaintedClock.now();
            init.output(chunk, metadata);
            const painted = waiting.get(chunk.timestamp);
            if (painted !== undefined) encoded.push(PaintedClock.until(painted, moment));
            for (const timestamp of waiting.keys())
              if (timestamp <= chunk.timestamp) waiting.delete(timestamp);
          },
        });
        this.waiting = waiting;
      }

      /** @param {VideoFrame} frame @param {VideoEncoderEncodeOptions} [options] */
      encode(frame, options) {
        const found = PaintedClock.read(frame, frame.displayWidth, frame.displayHeight);
        if (found) {
          encoder = "VideoEncoder";
          this.waiting.set(frame.timestamp, found.painted);
        }
        super.encode(frame, options);
      }
    };
  }

  const proto = HTMLVideoElement.prototype;
  const native = proto.requestVideoFrameCallback;
  const told = new WeakMap();
  proto.requestVideoFrameCallback = function (callback) {
    return native.call(this, (now, metadata) => {
      if (told.get(this) !== metadata.presentedFrames) {
        told.set(this, metadata.presentedFrames);
        const moment = PaintedClock.now();
        const found = PaintedClock.read(this, this.videoWidth, this.videoHeight);
        if (found) presented.push([moment, found.painted]);
      }
      callback(now, metadata);
    });
  };

  function take() {
    const taken = { encoder, encoded, presented };
    [encoded, presented] = [[], []];
    return taken;
  }

  return { take };
})();

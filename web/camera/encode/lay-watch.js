// How the pictures lie that a recorder films. Chrome's frames may lie on their side and say by how
// much they are to be turned; its recorder takes them as they lie, goes on within its document when
// the phone is turned, and its stream says nothing of it (measured with Chrome 156: WebM and MP4).
// So the relay is told instead (docs/protocol.md, `stream`), but only where it was seen once, on
// this phone, that the recorder loses a turn: one that turns the pictures itself must not have them
// turned again.
//
//   // what the recorder's stream lacks; at first, and whenever it changes
//   const watch = new LayWatch({onturn(rotation, flip) {}});
//   if (LayWatch.able()) watch.start(track, "video/webm;codecs=vp8");
//   watch.stop();

import { Pictures, layOf } from "./video-frames.js";
import { silentVideo } from "../../shared/page/silent-video.js";

/** Milliseconds after which a trial has told nothing. */
const LONGEST_TRIAL = 2000;

/**
 * Pictures that it gets, and milliseconds from one to the next: most give the first when the second
 * comes.
 */
const TRIAL_PICTURES = 4;
const TRIAL_INTERVAL = 40;

/**
 * What was seen, by the type of the recording: whether a turn is lost.
 * @type {Map<string, Promise<boolean>>}
 */
const seen = new Map();

export class LayWatch {
  /**
   * Whether pictures can say in this browser that they are turned, and be looked at while a
   * recorder has them.
   */
  static able() {
    return Pictures.able() && !Pictures.mayDraw() && "rotation" in VideoFrame.prototype;
  }

  /** @param {{onturn: (rotation: number, flip: boolean) => void}} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {Pictures | null} */
    this.pictures = null;
    /** Of the picture that came last, as text; "" before the first. */
    this.lay = "";
  }

  /** @param {MediaStreamTrack} track a live one @param {string} mimeType as what it is recorded */
  start(track, mimeType) {
    this.stop();
    const pictures = new Pictures(
      {
        onpicture: (frame) => {
          this._look(frame, mimeType);
          frame.close();
        },
        onfailure: () => {}, // what is known stays
      },
      { drawn: false },
    );
    this.pictures = pictures;
    pictures.start(track);
  }

  stop() {
    if (this.pictures) this.pictures.stop();
    this.pictures = null;
    this.lay = "";
  }

  /** @param {VideoFrame} frame @param {string} mimeType */
  _look(frame, mimeType) {
    const { rotation, flip } = layOf(frame);
    const lay = `${rotation} ${flip}`;
    if (lay === this.lay) return;
    this.lay = lay;
    if (rotation === 0 && !flip) {
      this.handlers.onturn(0, false);
      return;
    }
    const { pictures } = this;
    losesTurns(frame, mimeType).then((lost) => {
      // A later one has been told, or will be.
      if (this.pictures !== pictures || this.lay !== lay) return;
      this.handlers.onturn(lost ? rotation : 0, lost && flip);
    });
  }
}

/**
 * @param {VideoFrame} frame of this lens, because what is in the graphics card's memory is recorded
 *   another way
 * @param {string} mimeType
 * @returns {Promise<boolean>} whether it was seen that a recorder loses how pictures are turned
 */
function losesTurns(frame, mimeType) {
  let known = seen.get(mimeType);
  if (!known) {
    // As it says itself, or by another quarter: so it lies on its side, and the size of what comes
    // out tells.
    const { rotation } = layOf(frame);
    const { timestamp } = frame;
    const aside =
      rotation % 180
        ? frame.clone()
        : new VideoFrame(frame, /** @type {any} */ ({ rotation: 90, timestamp }));
    const outcome = Promise.race([
      tried(aside, mimeType).catch(() => null),
      sleep(LONGEST_TRIAL).then(() => null),
    ]);
    known = outcome.then((lost) => {
      if (lost === null) seen.delete(mimeType); // the next turn is another chance
      return lost === true;
    });
    seen.set(mimeType, known);
  }
  return known;
}

/**
 * @param {VideoFrame} aside a picture that lies on its side; it is closed here
 * @param {string} mimeType
 * @returns {Promise<boolean | null>} null where it cannot be told
 */
async function tried(aside, mimeType) {
  const { width, height } = layOf(aside);
  const generator = new /** @type {any} */ (window).MediaStreamTrackGenerator({ kind: "video" });
  const writer = generator.writable.getWriter();
  const recorder = new MediaRecorder(new MediaStream([generator]), { mimeType });
  /** @type {Blob[]} */
  const blobs = [];
  try {
    const ended = new Promise((resolve) => {
      recorder.onstop = resolve;
      recorder.onerror = resolve;
    });
    recorder.ondataavailable = ({ data }) => blobs.push(data);
    recorder.start();
    for (let count = 0; count < TRIAL_PICTURES; count += 1) {
      const timestamp = aside.timestamp + count * TRIAL_INTERVAL * 1000;
      await writer.write(new VideoFrame(aside, { timestamp }));
      await sleep(TRIAL_INTERVAL);
    }
    recorder.stop();
    await ended;
    const size = await sizeOf(new Blob(blobs));
    if (size.width === width && size.height === height && width !== height) return true;
    return width !== height && size.width === height && size.height === width ? false : null;
  } finally {
    aside.close();
    generator.stop();
  }
}

/**
 * @param {Blob} recording
 * @returns {Promise<{width: number, height: number}>} in which it is shown; 0 where it cannot be
 */
async function sizeOf(recording) {
  const video = silentVideo();
  const address = URL.createObjectURL(recording);
  try {
    const loaded = new Promise((resolve) => {
      video.onloadedmetadata = resolve;
      video.onerror = resolve;
    });
    video.src = address;
    await loaded;
    return { width: video.videoWidth, height: video.videoHeight };
  } finally {
    video.removeAttribute("src");
    URL.revokeObjectURL(address);
  }
}

/** @param {number} ms @returns {Promise<void>} */
function sleep(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

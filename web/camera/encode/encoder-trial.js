// Which encoder films best on this phone: found out by encoding a few pictures of its own lens,
// each way, one at a time.
//
//   // takes a second or so, never much longer, never rejects
//   const choice = await chooseEncoder(track, preview, "");
//
// Nothing here believes a promise: isConfigSupported says yes for encoders that give nothing before
// they are flushed (Firefox, H.264), that are slower than the camera, or that are not there at all.
// One picture at a time, because then there is no doubt which output belongs to which input: an
// encoder that needs the next picture to give this one has failed.

import { CodecsEngine, CodecsSoundEngine, rateOf, videoConfig } from "./webcodecs.js";
import { Pictures, layOf } from "./video-frames.js";
import { median } from "../../shared/median.js";
import { VIDEO_TYPES, bitrateFor } from "./media-recorder.js";

/**
 * From a picture to its encoded bytes, in ms: the shortest one and the median.
 * @typedef {{least: number, median: number}} Delays
 */
/**
 * What one way was found to take; "failed": pictures went in, too few came out; "refused": the
 * encoder broke; null: not tried.
 * @typedef {Delays | "failed" | "refused" | null} Result
 */
/**
 * encoder: for pictures; codecs: those that WebCodecs can film with, as it names them, the best one
 * first; sound: whether sound goes through WebCodecs; delays: by codec, and "recorder"; drawn:
 * whether pictures have to be drawn first (video-frames.js); spare: codecs to try if the recorder
 * gives nothing; remark: a sentence for the person, or "".
 * @typedef {{encoder: "codecs" | "recorder", codecs: string[], drawn: boolean, sound: boolean,
 *            delays: Record<string, Result>, spare: string[], remark: string}} Choice
 */

/** Milliseconds for everything: somebody may have tapped "Start filming". */
const WHOLE_TEST = 1500;

/**
 * Milliseconds for one way, for one answer of the browser, for one picture of a recorder, and until
 * the preview shows something.
 */
const ONE_WAY = 650;
const ONE_ANSWER = 200;
const ONE_PICTURE = 200;
const FIRST_PICTURE = 400;

/**
 * Pictures at the beginning that do not count, because the encoder starts up, those that do, and
 * how many of them are enough.
 */
const WARM_UP = 2;
const COUNTED = 8;
const ENOUGH = 3;

/**
 * The recorder is preferred if it is faster than WebCodecs by this factor and by as many ms more.
 * It cannot leave out a picture, make a keyframe or tell when a picture was captured, so a little
 * more delay per picture is still the better camera.
 */
const CLEARLY = 1.5;
const CLEARLY_MS = 5;

/**
 * VP8 is taken, which any browser decodes, unless another codec's fastest picture needs less than
 * this part of its time: because the phone has a chip for it, or because VP8's threads wait for one
 * another, which on a busy computer takes ten times as long again.
 */
const FASTER = 0.75;

/**
 * Macroblocks that H.264's level 3.1 allows in a picture: 1280x720 (ITU-T H.264 table A-1). Level
 * 4.0 has 1920x1080, 5.1 4096x2304.
 */
const LEVEL_31 = 3600;
const LEVEL_40 = 8192;

/**
 * The codecs to try, the preferred one first. AV1 is left out: too slow in software, and it ends
 * WebKitGTK's page.
 * @param {{width: number, height: number}} size
 * @returns {string[]}
 */
export function candidates({ width, height }) {
  const blocks = Math.ceil(width / 16) * Math.ceil(height / 16);
  const level = blocks <= LEVEL_31 ? "1F" : blocks <= LEVEL_40 ? "28" : "33";
  return ["vp8", `avc1.42E0${level}`, "vp09.00.10.08"];
}

/**
 * The rule: the codecs to film with, the best one first, or none where the recorder is better.
 * Codecs are compared by their fastest picture: what else a phone does while a page starts
 * lengthens the others.
 * @param {Record<string, Result>} delays what was found, by codec in the order of preference, and
 *   "recorder"
 * @param {number} interval ms between two pictures
 * @returns {string[]}
 */
export function decide(delays, interval) {
  /** @type {{codec: string, least: number, median: number}[]} */
  const found = [];
  for (const [codec, result] of Object.entries(delays)) {
    if (codec === "recorder" || !isDelays(result) || result.least > interval) continue;
    const { least, median: middle } = result;
    let place = found.length;
    while (place > 0 && least < found[place - 1].least * FASTER) place -= 1;
    found.splice(place, 0, { codec, least, median: middle });
  }
  const { recorder } = delays;
  const slower =
    found.length > 0 &&
    isDelays(recorder) &&
    found[0].median > recorder.median * CLEARLY + CLEARLY_MS;
  return slower ? [] : found.map(({ codec }) => codec);
}

/**
 * Tests and chooses.
 * @param {MediaStreamTrack} track the picture that will be filmed
 * @param {HTMLVideoElement} preview that plays it
 * @param {string} forced "recorder", "codecs", the beginning of a codec's name, or "" for the best
 * @returns {Promise<Choice>}
 */
export async function chooseEncoder(track, preview, forced) {
  const end = performance.now() + WHOLE_TEST;
  const able = CodecsEngine.able();
  const recorder = forced === "recorder";
  const sound = CodecsSoundEngine.able();
  await hasPicture(preview, track);
  const size = sizeOf(preview, track);
  /** @type {Record<string, Result>} */
  const delays = {};
  const left = () => Math.max(0, Math.min(ONE_WAY, end - performance.now()));
  /** @type {string[]} */
  const supported = [];
  let unseen = true;
  const seen = { turned: false };
  let drawn = false;
  for (const codec of able && !recorder ? wanted(size, forced) : []) {
    if (!(await isSupported(codec, track, size))) continue;
    supported.push(codec);
    if (left() === 0) continue;
    let result = await timeCodec(track, codec, size, drawn, left(), seen);
    if (result === "refused" && !drawn && Pictures.mayDraw()) {
      drawn = true;
      result = await timeCodec(track, codec, size, drawn, left(), seen);
    }
    delays[codec] = result;
    unseen = unseen && result === null;
  }
  // Each turn makes a recorder begin afresh (lay-watch.js), after some pictures that lie wrong. So
  // what is turned is WebCodecs' if that works.
  if (forced === "" && seen.turned) delays.recorder = null;
  else if ((forced === "" || recorder) && left() > 0)
    delays.recorder = await timeRecorder(track, preview, left());
  // Without a picture (a hidden page) or in no time (a busy phone) nothing is measured: then what
  // can do more; it gives way by itself if it does not work.
  const known = unseen ? supported : decide(delays, 1000 / rateOf(track));
  const usable = supported.filter((codec) => delays[codec] !== "refused");
  // A recorder that gave nothing either is no better: on a busy computer everything fails that has
  // to be done in so short a time.
  const best = known.length === 0 && delays.recorder === "failed" ? usable : known;
  const codecs = best.length > 0 || forced === "" ? best : supported;
  const remark =
    codecs.length === 0 && forced !== "" && !recorder
      ? "This browser cannot film with WebCodecs."
      : "";
  return {
    encoder: codecs.length > 0 ? "codecs" : "recorder",
    codecs,
    drawn,
    sound,
    delays,
    spare: codecs.length > 0 ? [] : usable,
    remark,
  };
}

/**
 * @param {{width: number, height: number}} size
 * @param {string} forced
 * @returns {string[]} the codecs to try
 */
function wanted(size, forced) {
  const all = candidates(size);
  const asked = all.filter((codec) => forced !== "" && codec.startsWith(forced));
  return asked.length > 0 ? asked : all;
}

/** @param {Result | undefined} result @returns {result is Delays} */
function isDelays(result) {
  return typeof result === "object" && result !== null;
}

/**
 * @param {HTMLVideoElement} preview
 * @param {MediaStreamTrack} track
 * @returns {{width: number, height: number}}
 */
function sizeOf(preview, track) {
  const { width = 640, height = 480 } = track.getSettings();
  return preview.videoWidth > 0
    ? { width: preview.videoWidth, height: preview.videoHeight }
    : { width, height };
}

/** @param {HTMLVideoElement} preview @param {MediaStreamTrack} track */
async function hasPicture(preview, track) {
  const end = performance.now() + FIRST_PICTURE;
  while (
    preview.readyState < HTMLMediaElement.HAVE_CURRENT_DATA &&
    track.readyState === "live" &&
    performance.now() < end
  )
    await sleep(20);
}

/** @param {number} ms @returns {Promise<undefined>} */
function sleep(ms) {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms);
  });
}

/**
 * @param {string} codec
 * @param {MediaStreamTrack} track
 * @param {{width: number, height: number}} size
 * @returns {VideoEncoderConfig}
 */
function configOf(codec, track, size) {
  return videoConfig(codec, {
    width: size.width,
    height: size.height,
    bitrate: bitrateFor(track, 1),
    framerate: rateOf(track),
  });
}

/**
 * @param {string} codec
 * @param {MediaStreamTrack} track
 * @param {{width: number, height: number}} size
 * @returns {Promise<boolean>}
 */
async function isSupported(codec, track, size) {
  try {
    const answer = await Promise.race([
      VideoEncoder.isConfigSupported(configOf(codec, track, size)),
      sleep(ONE_ANSWER),
    ]);
    return answer === undefined || answer.supported === true; // no answer is not a no
  } catch (error) {
    return false;
  }
}

/** @param {number[]} delays of all pictures, those of the start as well @returns {Result} */
function resultOf(delays) {
  const counted = delays.slice(WARM_UP);
  if (counted.length < ENOUGH) return "failed";
  return { least: Math.min(...counted), median: /** @type {number} */ (median(counted)) };
}

/**
 * @param {MediaStreamTrack} track
 * @param {string} codec
 * @param {{width: number, height: number}} size
 * @param {boolean} drawn
 * @param {number} time ms
 * @param {{turned: boolean}} seen where it is noted that a picture does not lie as it is seen
 * @returns {Promise<Result>} null if there was no picture
 */
function timeCodec(track, codec, size, drawn, time, seen) {
  return new Promise((resolve) => {
    /** @type {number[]} */
    const delays = [];
    let given = 0;
    let began = 0;
    let busy = false;
    const finish = (/** @type {Result} */ result) => {
      clearTimeout(deadline);
      pictures.stop();
      if (encoder.state !== "closed") encoder.close();
      resolve(result);
    };
    const deadline = setTimeout(() => finish(given === 0 ? null : resultOf(delays)), time);
    const encoder = new VideoEncoder({
      output: () => {
        delays.push(performance.now() - began);
        busy = false;
        if (delays.length === WARM_UP + COUNTED) finish(resultOf(delays));
      },
      error: () => finish("refused"),
    });
    const onpicture = (/** @type {VideoFrame} */ frame) => {
      try {
        if (!busy) {
          busy = true;
          const lay = layOf(frame);
          seen.turned = seen.turned || lay.rotation !== 0 || lay.flip;
          // The preview shows it turned.
          const other = lay.width !== size.width || lay.height !== size.height;
          if (given === 0 && other) encoder.configure(configOf(codec, track, lay));
          began = performance.now();
          encoder.encode(frame, { keyFrame: given === 0 });
          given += 1;
        }
      } catch (error) {
        finish("refused");
      } finally {
        frame.close();
      }
    };
    const pictures = new Pictures(
      { onpicture, onfailure: () => finish(given === 0 ? null : "failed") },
      { drawn },
    );
    try {
      encoder.configure(configOf(codec, track, size));
      pictures.start(track);
    } catch (error) {
      finish("refused");
    }
  });
}

/**
 * The recorder's time, with pictures of the preview on a canvas, because a canvas gives one picture
 * when it is asked.
 * @param {MediaStreamTrack} track
 * @param {HTMLVideoElement} preview
 * @param {number} time ms
 * @returns {Promise<Result>} null where recorders write in pieces of a second, or a canvas cannot
 *   be recorded
 */
async function timeRecorder(track, preview, time) {
  const end = performance.now() + time;
  const mimeType = VIDEO_TYPES.find(
    (type) => type.includes("webm") && MediaRecorder.isTypeSupported(type),
  );
  const canvas = document.createElement("canvas");
  const { width, height } = sizeOf(preview, track);
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d", { alpha: false });
  if (!mimeType || !pen || !canvas.captureStream || preview.videoWidth === 0) return null;
  const stream = /** @type {any} */ (canvas.captureStream(0));
  const source = /** @type {any} */ (stream.getVideoTracks()[0]);
  const asked = source.requestFrame ? source : stream; // Firefox has it at the stream
  if (!asked.requestFrame) return null;
  /** @type {number[]} */
  const delays = [];
  let recorder;
  try {
    recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond: bitrateFor(track, 1) });
    let heard = () => {};
    const going = recorder;
    going.ondataavailable = ({ data }) => {
      if (data.size > 1) heard(); // a single byte is the beginning of a frame, or of the file
      if (data.size > 0 && going.state === "recording") going.requestData();
    };
    going.start(1);
    for (let given = 0; given < WARM_UP + COUNTED && performance.now() < end; given += 1) {
      pen.drawImage(preview, 0, 0, width, height);
      const began = performance.now();
      const heardAt = new Promise((resolve) => {
        heard = () => resolve(performance.now());
      });
      asked.requestFrame();
      const at = await Promise.race([heardAt, sleep(Math.min(ONE_PICTURE, end - began))]);
      if (at !== undefined) delays.push(at - began);
      await sleep(Math.max(0, began + 1000 / rateOf(track) - performance.now()));
    }
    return resultOf(delays);
  } catch (error) {
    return "failed";
  } finally {
    if (recorder && recorder.state !== "inactive") {
      recorder.ondataavailable = null;
      recorder.stop();
    }
    source.stop();
  }
}

/**
 * The recorder's delay for a RecorderEngine.
 * @param {Choice} choice
 * @returns {Delays | null}
 */
export function recorderDelays(choice) {
  const result = choice.delays.recorder;
  return isDelays(result) ? result : null;
}

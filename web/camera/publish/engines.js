// The engines of one camera: one for its pictures, one for its sound. Which ones they are is the
// choice of encoder-trial.js; a WebCodecs engine that gives up is replaced by a recorder, and the
// other way round.
//
//   const engines = new Engines(link, "", { output(stream) {}, onpictures(engine) {} });
//   engines.equip(choice);
//   engines.pictures.run(track); engines.sounds.run(track);

import { AUDIO_TYPES, RecorderEngine } from "../encode/media-recorder.js";
import { CodecsEngine, CodecsSoundEngine } from "../encode/webcodecs.js";
import { recorderDelays } from "../encode/encoder-trial.js";
import { Stream } from "./stream.js";
import { Ways } from "./ways.js";

/** @typedef {RecorderEngine | CodecsEngine} PicturesEngine */

/** Numbers of the streams. */
export const VIDEO = 1;
export const AUDIO = 2;

export class Engines {
  /**
   * @param {import("../../shared/relay/relay-link.js").Link} link
   * @param {string} mime the only type a recorder may record the picture as, or ""
   * @param {{output: (stream: Stream<any>) => import("../encode/media-recorder.js").Output,
   *          onpictures: (engine: PicturesEngine) => void}} handlers
   *        output: where the bytes of a stream go; onpictures: there is another engine for pictures
   */
  constructor(link, mime, handlers) {
    this.link = link;
    this.handlers = handlers;
    this.ways = new Ways(mime);
    /** @type {Stream<PicturesEngine>} */
    this.pictures = new Stream(VIDEO);
    /** @type {Stream<RecorderEngine | CodecsSoundEngine>} */
    this.sounds = new Stream(AUDIO);
    /** @type {import("../encode/encoder-trial.js").Delays | null} */
    this.delays = null;
    this.drawn = false;
    this.soundCodecs = false;
  }

  /** @returns {"codecs" | "recorder" | ""} what films, "" before it is chosen */
  get encoder() {
    if (this.pictures.engine === null) return "";
    return this.ways.way.codec ? "codecs" : "recorder";
  }

  /** @param {import("../encode/encoder-trial.js").Choice} choice */
  equip(choice) {
    this.delays = recorderDelays(choice);
    this.ways.equip(choice);
    this.drawn = choice.drawn;
    this.soundCodecs = choice.sound;
    this._equipPictures();
    this._equipSound();
  }

  stop() {
    this.pictures.stop();
    this.sounds.stop();
  }

  /** There are other tracks: what could do nothing with the old one has another try, with
   *  everything that it can do.
   *  @param {boolean} pictures @param {boolean} sound */
  renew(pictures, sound) {
    if (pictures && this.pictures.failure) this._equipPictures();
    if (sound && this.sounds.failure) this._equipSound();
    if (pictures) this.pictures.failure = "";
    if (sound) this.sounds.failure = "";
  }

  /** An engine has given up: another one takes its place, if there is one.
   *  @param {number} number of its stream @param {string} text
   *  @param {boolean} still the lens gives nothing new: no engine can film what does not move */
  giveWay(number, text, still) {
    if (number === VIDEO) {
      if (still || this.ways.failed()) this._equipPictures();
      else this.pictures.failure = text;
    } else if (this.soundCodecs) {
      this.soundCodecs = false;
      this._equipSound();
    } else this.sounds.failure = text;
  }

  /** Films so that all viewers play it, if that is possible.
   *  @param {string[] | null} plays families of codecs; null: as it is best here */
  suit(plays) {
    if (this.pictures.engine && this.ways.suit(plays)) this._equipPictures();
  }

  /** Somebody needs a picture to start from. */
  keyframe() {
    if (this.pictures.engine) this.pictures.engine.keyframe();
  }

  /** The picture has another size. */
  turned() {
    if (this.pictures.engine) this.pictures.engine.turned();
  }

  _equipPictures() {
    this.pictures.retire();
    const { link, drawn, delays } = this;
    const { codec, types } = this.ways.choose();
    const output = this.handlers.output(this.pictures);
    let engine;
    if (codec) engine = new CodecsEngine(VIDEO, output, { link, codec, drawn });
    else {
      const halfTrip = () => (link.roundTrip || 0) / 2;
      const { mime, replaceable } = this.ways;
      const options = { types, mime, delays, halfTrip, replaceable };
      engine = new RecorderEngine(VIDEO, output, options);
    }
    this.pictures.engine = engine;
    this.handlers.onpictures(engine);
  }

  _equipSound() {
    this.sounds.retire();
    const output = this.handlers.output(this.sounds);
    this.sounds.engine = this.soundCodecs
      ? new CodecsSoundEngine(AUDIO, output, { link: this.link })
      : new RecorderEngine(AUDIO, output, { types: AUDIO_TYPES });
  }
}

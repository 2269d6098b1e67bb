// Where the sound of a camera goes: decoded, to the audio thread, or to the page as it is.

import { SoundDecoder } from "../sound/sound-decoder.js";

export class SoundWay {
  /** @param {{onchange: () => void, onfail: (reason: string) => void}} handlers onchange: sound is
   *  wanted now, or not any more */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {SoundDecoder | null} */
    this.decoder = null;
    this.toPage = false;
  }

  /** Whether sound is taken at all. */
  get listens() {
    return this.decoder !== null || this.toPage;
  }

  /** @param {import("../../shared/types.js").TrackMessage | null} track null: no more
   *  @param {MessagePort} [port] to the audio thread */
  decode(track, port) {
    if (this.decoder) this.decoder.close();
    this.decoder = null;
    if (track && port) {
      const decoder = new SoundDecoder(track, port, (reason) => {
        if (decoder !== this.decoder) return;
        this.decoder = null;
        this.handlers.onfail(reason);
        this.handlers.onchange();
      });
      this.decoder = decoder;
    }
    this.handlers.onchange();
  }

  /** @param {boolean} page whether the page wants the sound as it is */
  hear(page) {
    this.toPage = page;
    this.handlers.onchange();
  }
}

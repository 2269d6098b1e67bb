// Collects a microphone's samples in the audio thread and sends them to the page, one packet of the
// encoder at a time: what it needs anyway before it can begin, in fifty messages a second instead
// of four hundred.
//
// Messages out: {frame, planes, length}   number of the first sample on the context's clock; the
//                                         channels one after the other; samples each

/** Seconds in a message: as long as the encoder's packets (webcodecs.js). */
const PIECE = 0.02;

class Collector extends AudioWorkletProcessor {
  constructor() {
    super();
    this.length = Math.round(sampleRate * PIECE);
    this.channels = 0;
    this.filled = 0;
    this.frame = 0;
    this.planes = new Float32Array(0);
  }

  /** @param {Float32Array[][]} inputs @returns {boolean} */
  process(inputs) {
    const planes = inputs[0];
    if (planes.length === 0) return true; // nothing is connected yet
    if (planes.length !== this.channels || this.frame + this.filled !== currentFrame)
      this._begin(planes.length, currentFrame);
    const quantum = planes[0].length;
    for (let done = 0; done < quantum;) {
      const count = Math.min(quantum - done, this.length - this.filled);
      for (let channel = 0; channel < this.channels; channel += 1) {
        this.planes.set(
          planes[channel].subarray(done, done + count),
          channel * this.length + this.filled,
        );
      }
      done += count;
      this.filled += count;
      if (this.filled === this.length) {
        this.port.postMessage({ frame: this.frame, planes: this.planes, length: this.length }, [
          this.planes.buffer,
        ]);
        this._begin(this.channels, currentFrame + done);
      }
    }
    return true;
  }

  /** @param {number} channels @param {number} frame */
  _begin(channels, frame) {
    this.channels = channels;
    this.frame = frame;
    this.filled = 0;
    this.planes = new Float32Array(channels * this.length);
  }
}

registerProcessor("samples", Collector);

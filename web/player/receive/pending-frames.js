// Frames that wait until it is known who shows them, from a keyframe on.

/** Frames and bytes that wait at most. */
const PENDING_LIMIT = 1000;
const PENDING_BYTES_LIMIT = 16 * 1024 * 1024;

export class PendingFrames {
  constructor() {
    /** Frame messages; null where none are kept. @type {ArrayBuffer[] | null} */
    this.messages = null;
    this.bytes = 0;
  }

  /** A track begins: its frames are kept. */
  begin() {
    this.messages = [];
    this.bytes = 0;
  }

  /** Too many are none: the relay sends them again after a `join`. @param {ArrayBuffer} message */
  add(message) {
    if (!this.messages) return;
    this.messages.push(message);
    this.bytes += message.byteLength;
    if (this.messages.length > PENDING_LIMIT || this.bytes > PENDING_BYTES_LIMIT) this.forget();
  }

  forget() {
    this.messages = null;
  }
}

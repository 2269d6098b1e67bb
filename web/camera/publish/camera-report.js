// What a camera tells the relay of itself, beside its streams: its state with that of its sound,
// how loud it is, and where its lens can turn (docs/protocol.md, `state`, `ping`, `turns`).

export class CameraReport {
  /** @param {(message: object) => void} send to the relay */
  constructor(send) {
    this.send = send;
    /** The state that was told last on this connection, as JSON, or null. @type {string | null} */
    this.said = null;
    /** What the microphone does, as far as that is known. @type {string} */
    this.hearing = "";
    /** How loud it was lately, RMS 0..1. @type {number | null} */
    this.level = null;
    /** What the lens can turn. @type {import("../../shared/types.js").Axes} */
    this.axes = {};
  }

  /** The connection is gone: the next one has heard nothing yet. */
  forget() {
    this.said = null;
  }

  /** There is another connection. */
  begin() {
    if (Object.keys(this.axes).length > 0) this._sendTurns();
  }

  /** What the microphone does. @param {import("../lens/microphone.js").Hearing} sound */
  hears(sound) {
    if (sound !== "asking") this.hearing = sound;
  }

  /** The lens can turn so, and stands there.
   *  @param {import("../../shared/types.js").Axes} axes
   *  @param {boolean} open there is a connection */
  turns(axes, open) {
    const known = Object.keys(this.axes).length > 0;
    this.axes = axes;
    if (open && (known || Object.keys(axes).length > 0)) this._sendTurns();
  }

  /** Tells the state, unless it is the same as before.
   *  @param {string} reason of a pause, or ""
   *  @param {{failed: boolean, silenced: boolean}} facts of the sound: nothing records it; the
   *         network gets none */
  say(reason, facts) {
    const sound = this._sound(facts);
    const state = reason ? "paused" : "live";
    const message = { type: "state", state, ...(reason && { reason }), ...(sound && { sound }) };
    const text = JSON.stringify(message);
    if (text === this.said) return;
    this.said = text;
    this.send(message);
  }

  /** What goes along with a ping.
   *  @param {number | null} delay from capture to sending, ms
   *  @returns {{encode?: number, level?: number}} encode: that delay, µs; level: how loud it is */
  pingFields(delay) {
    const { level } = this;
    return {
      ...(delay !== null && { encode: Math.round(delay * 1000) }),
      ...(level !== null && { level: Number(level.toPrecision(3)) }),
    };
  }

  /** What the relay is told of the sound (docs/protocol.md, "Sound").
   *  @param {{failed: boolean, silenced: boolean}} facts
   *  @returns {string} "" while it is not known */
  _sound({ failed, silenced }) {
    if (this.hearing !== "on" && this.hearing !== "silent") return this.hearing;
    if (failed) return "failed";
    return silenced ? "slow" : this.hearing;
  }

  _sendTurns() {
    this.send(Object.assign({ type: "turns" }, this.axes));
  }
}

// What a camera that films says of itself on the page.

import { duration, encoderWords, statusWords, viewerWords } from "./status-words.js";
import { isolated } from "../../shared/page/camera-name.js";
import { setText } from "../../shared/page/elements.js";

/** @typedef {import("../publish/filming.js").Status} Status */

export class StatusView {
  /**
   * @param {{camera: HTMLElement, status: HTMLElement, detail: HTMLElement, viewers: HTMLElement,
   *          clock: HTMLElement, dark: HTMLElement, encoder: HTMLElement}} parts
   * @param {import("../publish/recent-drops.js").Drops} drops
   */
  constructor(parts, drops) {
    this.parts = parts;
    this.drops = drops;
  }

  /**
   * @param {Status} status
   * @param {{news: string, width: number, height: number, byRequests: boolean, newer: boolean,
   *          label: string, soundTrouble: string, begun: number}} facts as in status-words.js;
   *          label: what people
   *        call the camera; begun: how often the lens was taken anew
   * @param {number} now ms
   * @returns {string} the headline
   */
  show(status, { label, soundTrouble, begun, ...facts }, now) {
    const { parts } = this;
    const [state, headline, detail] = statusWords(status, facts);
    const viewers = viewerWords(status);
    parts.status.dataset.state = parts.camera.dataset.state = parts.dark.dataset.state = state;
    setText(parts.status, headline);
    setText(parts.detail, detail);
    if (status.encoder) this.showEncoder(status, begun, now);
    setText(parts.viewers, viewers);
    setText(parts.clock, duration(now - status.since));
    const dim = headline[0].toLowerCase() + headline.slice(1);
    const words = [isolated(label), dim, soundTrouble, viewers, "touch to wake the screen"];
    setText(parts.dark, words.filter(Boolean).join(" · "));
    return headline;
  }

  /** @param {Pick<Status, "encoder" | "codec" | "delay" | "dropped" | "remark" | "restarts">} facts
   *  @param {number} begun how often the lens was taken anew @param {number} now ms */
  showEncoder({ encoder, codec, delay, dropped, remark, restarts }, begun, now) {
    const { camera, encoder: line } = this.parts;
    camera.dataset.encoder = encoder;
    camera.dataset.codec = codec;
    const lately = this.drops.lately(dropped, now);
    const all = restarts.video + restarts.audio + begun;
    setText(line, encoderWords({ encoder, codec, delay, dropped: lately, remark, begun: all }));
  }
}

// The plain way, for comparison: one recorder with a timeslice, its blobs broadcast as they are, a
// player that appends everything, chases nothing and is there before the camera. ?role=camera or
// ?role=viewer, &room=, &width=, &height=.

import { openLens } from "./lens.js";

/** Milliseconds of each blob. */
const TIMESLICE = 64;

/** Bits per second, as camera.html uses at 640x480: the same work for the encoder. */
const BITRATE = 1200000;

const TYPE = "video/webm;codecs=vp8,opus";

const query = new URLSearchParams(location.search);
const socket = new WebSocket(`ws://${location.host}/room/${query.get("room")}`);
socket.binaryType = "arraybuffer";

async function film() {
  const stream = await openLens(query);
  const recorder = new MediaRecorder(stream, { mimeType: TYPE, videoBitsPerSecond: BITRATE });
  recorder.ondataavailable = (event) => socket.send(event.data);
  recorder.start(TIMESLICE);
}

function watch() {
  const video = document.createElement("video");
  document.querySelector(".bench-view").append(video);
  const source = new MediaSource();
  /** @type {ArrayBuffer[]} */
  const waiting = [];
  /** @type {SourceBuffer | null} */
  let buffer = null;
  function append() {
    if (buffer && !buffer.updating && waiting.length > 0) buffer.appendBuffer(waiting.shift());
  }
  source.onsourceopen = () => {
    buffer = source.addSourceBuffer(TYPE);
    buffer.mode = "sequence";
    buffer.onupdateend = append;
    document.body.dataset.ready = "1";
  };
  socket.onmessage = (event) => {
    waiting.push(event.data);
    append();
  };
  video.src = URL.createObjectURL(source);
  video.play();
}

if (query.get("role") === "camera") socket.onopen = film;
else socket.onopen = watch;

// WebRTC from one tab to another, with no server in between, for comparison. ?role=camera or
// ?role=viewer, &room=, &width=, &height=. The room carries offer and answer, each complete with
// its candidates. The settings are the browser's, but the sender is asked to keep the picture's
// size. Left alone it sends a quarter of it or less, on a busy computer for ever, because its first
// guess of the network's rate leaves an encoder too few bits for so detailed a scene.

import { openLens } from "./lens.js";

/**
 * Bits per second that it may use; the browser's own limit is 2.5 million at 1280x720, at which its
 * delay was larger.
 */
const KEEP_BITRATE = 4000000;

const query = new URLSearchParams(location.search);
const socket = new WebSocket(`ws://${location.host}/room/${query.get("room")}`);
const peer = new RTCPeerConnection();
document.body.dataset.state = "new";
peer.onconnectionstatechange = () => {
  document.body.dataset.state = peer.connectionState;
};

/** @param {RTCSessionDescriptionInit} description sends it once all candidates are in it */
async function propose(description) {
  await peer.setLocalDescription(description);
  if (peer.iceGatheringState !== "complete") {
    await new Promise((resolve) => {
      peer.onicegatheringstatechange = () => {
        if (peer.iceGatheringState === "complete") resolve(null);
      };
    });
  }
  socket.send(JSON.stringify(peer.localDescription));
}

/** What an application does that would rather have coarse pictures than small ones. */
async function keepSize() {
  for (const sender of peer.getSenders().filter(({ track }) => track && track.kind === "video")) {
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    for (const encoding of parameters.encodings)
      Object.assign(encoding, { maxBitrate: KEEP_BITRATE, scaleResolutionDownBy: 1 });
    await sender.setParameters(parameters);
  }
}

async function film() {
  const stream = await openLens(query);
  for (const track of stream.getTracks()) peer.addTrack(track, stream);
  socket.onmessage = async (event) => {
    await peer.setRemoteDescription(JSON.parse(event.data));
    await keepSize();
  };
  await propose(await peer.createOffer());
}

function watch() {
  const video = document.createElement("video");
  document.querySelector(".bench-view").append(video);
  peer.ontrack = (event) => {
    if (video.srcObject) return;
    video.srcObject = event.streams[0];
    video.play();
    // The element's own output cannot be listened to. This tap is before it, and an AudioContext's
    // input buffer is behind it.
    ears.listen(event.streams[0]);
  };
  socket.onmessage = async (event) => {
    await peer.setRemoteDescription(JSON.parse(event.data));
    await propose(await peer.createAnswer());
  };
  document.body.dataset.ready = "1";
}

if (query.get("role") === "camera") socket.onopen = film;
else socket.onopen = watch;

// WebRTC from one tab to another, with the browser's default settings and no server in between, for comparison.
// ?role=camera or ?role=viewer, &room=, &width=, &height=. The room carries offer and answer, each complete with its candidates.

import { openLens } from "./lens.js";

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

async function film() {
  const stream = await openLens(query);
  for (const track of stream.getTracks()) peer.addTrack(track, stream);
  socket.onmessage = (event) => peer.setRemoteDescription(JSON.parse(event.data));
  await propose(await peer.createOffer());
}

function watch() {
  const video = document.createElement("video");
  document.querySelector(".bench-view").append(video);
  peer.ontrack = (event) => {
    if (video.srcObject) return;
    video.srcObject = event.streams[0];
    video.play();
  };
  socket.onmessage = async (event) => {
    await peer.setRemoteDescription(JSON.parse(event.data));
    await propose(await peer.createAnswer());
  };
  document.body.dataset.ready = "1";
}

if (query.get("role") === "camera") socket.onopen = film;
else socket.onopen = watch;

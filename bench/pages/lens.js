// The camera of the bench's own pages: asks for it, and shows its picture on the page as
// camera.html does.

const FPS = 30;

/** @param {URLSearchParams} query width and height in pixels @returns {Promise<MediaStream>} */
export async function openLens(query) {
  const stream = await navigator.mediaDevices.getUserMedia({
    video: {
      width: Number(query.get("width")),
      height: Number(query.get("height")),
      frameRate: FPS,
    },
    audio: true,
  });
  const preview = document.createElement("video");
  preview.className = "bench-preview";
  preview.muted = preview.autoplay = true;
  preview.srcObject = new MediaStream(stream.getVideoTracks());
  document.body.replaceChildren(preview);
  return stream;
}

/** A <video> that plays at once, inside the page and silently, which browsers allow without a tap. @returns {HTMLVideoElement} */
export function silentVideo() {
  const video = document.createElement("video");
  video.muted = true;
  video.autoplay = true;
  video.playsInline = true;
  // Older Safaris look at the attributes.
  video.setAttribute("muted", "");
  video.setAttribute("playsinline", "");
  video.tabIndex = -1;
  return video;
}

// What pages need of any <video>.

/**
 * A <video> that plays at once, inside the page and silently, which browsers allow without a tap.
 * @returns {HTMLVideoElement}
 */
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

/**
 * Pictures that a <video> has had since it was made: all, and those among them that it left out.
 * @param {HTMLVideoElement} video
 * @returns {{total: number, dropped: number} | null} null where the browser does not count them
 */
export function picturesOf(video) {
  if ("getVideoPlaybackQuality" in video) {
    const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
    return { total: totalVideoFrames, dropped: droppedVideoFrames };
  }
  // Chrome before 80.
  const { webkitDecodedFrameCount: total, webkitDroppedFrameCount: dropped } = /** @type {any} */ (
    video
  );
  return total === undefined ? null : { total, dropped };
}

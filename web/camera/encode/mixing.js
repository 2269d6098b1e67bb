// Sound of more than two channels, as arrays of microphones and sound cards for studios have it:
// players play two, and browsers' encoders of Opus refuse more.
//
//   // an AudioData of one or two channels: `data` itself where it has no more, else one to close
//   const mixed = mixDown(data);

/**
 * Four channels are left, right, and the same behind (W3C Web Audio 1.1, "Channel ordering"); of
 * any other number nobody knows.
 */
const QUAD = 4;

/** @param {number} channels that there are @returns {number} that are left */
export function mixedChannels(channels) {
  return channels === QUAD ? 2 : channels > 2 ? 1 : channels;
}

/**
 * @param {AudioData} data stays as it is
 * @returns {AudioData} each channel is the mean of those that go into it, so that nothing clips
 */
export function mixDown(data) {
  const { numberOfChannels, numberOfFrames, sampleRate, timestamp } = data;
  const left = mixedChannels(numberOfChannels);
  if (left === numberOfChannels) return data;
  const format = "f32-planar"; // any browser converts to it (W3C WebCodecs, AudioData.copyTo)
  const mixed = new Float32Array(left * numberOfFrames);
  const plane = new Float32Array(numberOfFrames);
  for (let channel = 0; channel < numberOfChannels; channel += 1) {
    data.copyTo(plane, { planeIndex: channel, format });
    const start = (channel % left) * numberOfFrames;
    for (let n = 0; n < numberOfFrames; n += 1)
      mixed[start + n] += (plane[n] * left) / numberOfChannels;
  }
  return new AudioData({
    format,
    sampleRate,
    numberOfFrames,
    numberOfChannels: left,
    timestamp,
    data: mixed,
  });
}

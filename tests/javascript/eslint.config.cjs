// Words and names that the oldest browser of the pages does not know (oldest.json). What the language has since is eslint-plugin-es-x's matter,
// and tsc's, whose `lib` ends with that year. Neither knows when a browser learnt a name of its own interfaces: those stand here one by one.

const esx = require("eslint-plugin-es-x");
const oldest = require("./oldest.json");

/** Names of browsers' interfaces that came later: the first Chrome that has it (MDN's browser-compat-data), and the files that may use it,
 *  because they first ask whether it is there, or because nothing is lost where it is not. @type {Record<string, [number, ...string[]]>} */
const LATER = {
  AbortController: [66, "deadline", "http-socket"],
  AbortSignal: [66],
  AudioData: [94, "mixing", "audio-samples"],
  AudioDecoder: [94, "sound-decoder"],
  AudioEncoder: [94, "webcodecs"],
  AudioWorkletNode: [66, "plays", "audio-samples", "sound"],
  BarcodeDetector: [88],
  CompressionStream: [80],
  DecompressionStream: [80],
  EncodedAudioChunk: [94, "sound-decoder"],
  EncodedVideoChunk: [94, "frames-decoder"],
  ImageDecoder: [94],
  ManagedMediaSource: [Infinity, "media-buffer"],
  MediaSourceHandle: [108],
  MediaStreamTrackGenerator: [94, "lay-watch", "screen"],
  MediaStreamTrackProcessor: [94, "video-frames", "audio-samples"],
  OffscreenCanvas: [69],
  PressureObserver: [125],
  ReportingObserver: [69],
  TextDecoderStream: [71],
  TransformStream: [67],
  URLPattern: [95],
  VideoColorSpace: [94, "frames-decoder"],
  VideoDecoder: [94, "receiver-port", "frames-decoder", "plays"],
  VideoEncoder: [94, "encoder-trial", "webcodecs"],
  VideoFrame: [94, "lay-watch", "video-frames"],
  VideoTrackGenerator: [Infinity, "surface"],
  WebTransport: [97],
  addModule: [65, "audio-samples", "sound"],
  adoptedStyleSheets: [73],
  audioWorklet: [66, "audio-samples", "sound"],
  cancelVideoFrameCallback: [83],
  canShare: [128],
  changeType: [70, "media-buffer"],
  checkVisibility: [105],
  clipboard: [66, "invitation", "self-test-sheet"],
  computedStyleMap: [66],
  contentHint: [70, "lens"],
  convertToBlob: [69],
  cookieStore: [87],
  createConicGradient: [99],
  crossOriginIsolated: [87],
  enterKeyHint: [77],
  exitFullscreen: [71, "dark-screen", "tile-view"],
  exitPictureInPicture: [69, "picture-in-picture"],
  featurePolicy: [74, "lens-problem"],
  fullscreenElement: [71, "dark-screen", "tile-view", "wall-page"],
  fullscreenEnabled: [71, "tile-view"],
  getAnimations: [84],
  getDisplayMedia: [72],
  getVideoPlaybackQuality: [80, "silent-video"],
  inert: [102, "inert"],
  isInputPending: [87],
  letterSpacing: [99],
  locks: [69],
  mediaCapabilities: [66, "picture-size"],
  outputLatency: [102, "sound"],
  playsInline: [75, "self-test", "silent-video", "wake-lock"],
  prerendering: [108],
  queueMicrotask: [71],
  randomUUID: [92],
  replaceChildren: [86],
  reportError: [95],
  requestFullscreen: [71, "dark-screen", "tile-view"],
  requestPictureInPicture: [69, "picture-in-picture"],
  requestSubmit: [76],
  requestVideoFrameCallback: [83, "mse-engine", "video-frames", "screen"],
  roundRect: [99],
  scheduler: [94],
  setAppBadge: [81],
  setPositionState: [81],
  showPicker: [99],
  showPopover: [114],
  structuredClone: [98],
  submitter: [81],
  throwIfAborted: [100],
  timeOrigin: [62, "time-origin"], // Safari has it since 15
  toggleAttribute: [69],
  transferControlToOffscreen: [69, "screen"],
  userAgentData: [90],
  wakeLock: [84, "wake-lock"],
};

/** @param {string} file without ".js"; "" for any other one */
function names(file) {
  const refused = Object.entries(LATER).filter(([, [, ...files]]) => !files.includes(file));
  const told = refused.map(([name, [chrome]]) => {
    const first = chrome === Infinity ? "Chrome has no" : `before ${chrome} Chrome has no`;
    return { name, message: `${first} ${name}: ask first whether it is there, in a file that is named in tests/javascript/eslint.config.cjs.` };
  });
  return {
    "no-restricted-globals": ["error", ...told],
    "no-restricted-properties": ["error", ...told.map(({ name, message }) => ({ property: name, message }))],
  };
}

const using = [...new Set(Object.values(LATER).flatMap(([, ...files]) => files))];

module.exports = [
  {
    // The parser reads newer words, and the plugin refuses those that are too new: it says which.
    languageOptions: { ecmaVersion: "latest", sourceType: "module" },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    plugins: { "es-x": esx },
    rules: {
      ...esx.configs[`flat/restrict-to-es${oldest.ecmascript}`].rules,
      "es-x/no-dynamic-import": "off", // Chrome 63
      "es-x/no-import-meta": "off", // Chrome 64
      "max-len": [
        "error",
        { code: 100, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true },
      ],
      ...names(""),
    },
  },
  ...using.map((file) => ({ files: [`**/${file}.js`], rules: names(file) })),
];

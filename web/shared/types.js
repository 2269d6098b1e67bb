// Types that several modules share. Nothing runs here: no browser fetches this file.

/**
 * The relay's `track` message.
 * @typedef {{type: "track", number: number, kind: "video" | "audio", codec: string, mime: string,
 *             config?: string, width?: number, height?: number, rotation?: number, flip?: boolean,
 *             displayWidth?: number, displayHeight?: number, colorSpace?: VideoColorSpaceInit,
 *             sampleRate?: number, channels?: number}} TrackMessage
 */

/**
 * onpicture: a picture was shown, of this time (µs of the relay's clock) and size, not turned yet,
 * at this moment (ms of performance.now()); onblocked: the browser wants a tap before it plays;
 * send: a wish for the relay (docs/protocol.md, "Player to relay").
 * @typedef {{onfail: (reason: string) => void, onpicture: (timestamp: number, width: number,
 *             height: number, moment: number) => void, onblocked: (blocked: boolean) => void, send:
 *             (message: object) => void}} EngineHandlers
 */

/**
 * received: frame messages; fed: those given to the browser's decoder; shown: pictures; dropped:
 * frames left out, and pictures left out because a newer one was about to come; bufferedAhead: s;
 * stalls: how often it ran dry.
 * @typedef {{received: number, fed: number, shown: number, dropped: number, bufferedAhead: number,
 *   stalls: number}} EngineStats
 */

/**
 * @typedef {{name: string, stats: EngineStats, track: (message: TrackMessage, init: ArrayBuffer) =>
 *             void, frame: (number: number, data: ArrayBuffer) => void, retire: () => void, close:
 *             () => void}} Engine
 * See tile.js for what each of these does.
 */

/**
 * What this browser may do: `publish` and `watch` are "all" or a list of cameras, `camera` and
 * `viewer` say whether that is anything at all. With a registry: where to ask for a relay that has
 * moved, what it is called there, and the ticket that lets this browser in there. The page adds
 * unkept: a right key was used, and the browser has not kept it; and link, where a link has brought
 * a key just now: "taken", or why the relay has not taken it.
 * @typedef {{keys: boolean, camera: boolean, viewer: boolean, publish: "all" | string[], watch:
 *            "all" | string[], manage: boolean, registry?: string, relay?: string, ticket?: string
 *            | null, unkept?: boolean, link?: string}} Session
 */

// What a camera can turn (docs/protocol.md, `turns`), and where it is asked to.
/** @typedef {{min: number, max: number, step?: number, now?: number}} Axis */
/** @typedef {"pan" | "tilt" | "zoom"} Way */
/** @typedef {Partial<Record<Way, Axis>>} Axes degrees, and the zoom as a factor */
/** @typedef {Partial<Record<Way, number>>} Place in the browser's units */

export {};

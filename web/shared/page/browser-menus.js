// The next step in this browser's own menus. What a browser can do is found out by trying; only the
// names of its menus are told by its name.

/**
 * family: whose menus it has; system: that of the device.
 * @typedef {{family: "chrome" | "safari" | "firefox" | "other", system: "android" | "ios" |
 *   "desktop", name: string}} Browser
 */

/**
 * The first that is found counts: most browsers also claim to be others.
 * @type {[RegExp, Browser["family"], string][]}
 */
const FAMILIES = [
  [/SamsungBrowser/, "chrome", "Samsung Internet"],
  [/Edg(A|iOS)?\//, "chrome", "Edge"],
  [/Firefox|FxiOS/, "firefox", "Firefox"],
  [/Chrom(e|ium)|CriOS/, "chrome", "Chrome"],
  [/Safari/, "safari", "Safari"],
];

/**
 * @param {{userAgent: string, maxTouchPoints?: number}} facts such as `navigator`
 * @returns {Browser}
 */
export function browserOf({ userAgent, maxTouchPoints = 0 }) {
  const [, family, name] = FAMILIES.find(([sign]) => sign.test(userAgent)) || [
    /./,
    /** @type {"other"} */ ("other"),
    "the browser",
  ];
  // An iPad says that it is a Mac; no Mac has a touch screen.
  const ios =
    /iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1);
  const system = ios ? "ios" : userAgent.includes("Android") ? "android" : "desktop";
  return { family, system, name };
}

/** @param {Browser} browser @returns {string} such as Chrome on Android */
export function browserWords({ name, system }) {
  return `${name} on ${{ android: "Android", ios: "iPhone or iPad", desktop: "a computer" }[system]}`;
}

/**
 * What to do where the browser does not allow a device.
 * @param {Browser} browser
 * @param {"Camera" | "Microphone"} device as menus call it
 * @returns {string[]} sentences, the likeliest first
 */
export function stepsToAllow({ family, system, name }, device) {
  if (system === "android") {
    const [sign, menu] = family === "firefox" ? ["lock", ""] : ["icon", "Permissions, then "];
    return [
      `Touch the ${sign} left of the address, then ${menu}${device}, and allow it.`,
      `If it is allowed there: in Android’s Settings, open Apps, ${name}, Permissions, ${device}, and allow it.`,
      `Some phones have a switch for every app, too: Settings, Privacy, ${device} access.`,
    ];
  }
  if (system === "ios") {
    const app = `in the phone’s Settings, open ${name} (from iOS 18 on: Apps, ${name})`;
    if (family !== "safari")
      return [
        `${app[0].toUpperCase()}${app.slice(1)}, and switch ${device} on.`,
        "Then reload this page.",
      ];
    return [
      `Touch the icon left of the address, then Website Settings, and set ${device} to Allow.`,
      `If that does not help: ${app}, ${device}, and choose Ask or Allow.`,
    ];
  }
  const first = {
    chrome: `Click the icon left of the address and switch ${device} on.`,
    firefox: `Click the crossed-out ${device.toLowerCase()} left of the address and take back the block.`,
    safari: `In the menu Safari, choose Settings for this Website, and set ${device} to Allow.`,
    other: `Click the icon left of the address, find the permissions of this page, and allow ${device}.`,
  }[family];
  return [
    first,
    `If it is allowed there: the system’s own settings for privacy must let ${name} use the ${device.toLowerCase()}.`,
  ];
}

/**
 * What to do where the browser does not trust the relay's certificate.
 * @param {Browser} browser
 * @param {boolean} linked whether a link to the trust page stands below
 * @returns {string[]}
 */
export function stepsToTrust({ family, system }, linked) {
  const where = linked
    ? "(the link below)"
    : "(the relay shows its address when it starts: ask the person who runs it)";
  const steps = [
    `Open the relay’s trust page ${where} on this device, and install the relay’s certificate.`,
  ];
  if (system === "ios")
    steps.push(
      "Then, in Settings, open General, About, Certificate Trust Settings, and switch it on for the relay.",
    );
  if (system === "android" && family === "firefox") {
    steps.push(
      "Firefox uses it after one more thing: in its Settings, open About Firefox and touch the logo five times; then, back in Settings, " +
        "open Secret Settings and switch “Use third party CA certificates” on. Or use Chrome.",
    );
  }
  return [...steps, "Then close this page and open it again."];
}

/** What to do where the screen may go dark. @param {Browser} browser @returns {string[]} */
export function stepsToStayOn({ system }) {
  if (system === "android") {
    return [
      "Keep the phone plugged in, and switch Battery Saver off.",
      "If the screen goes dark all the same: Settings, Display, Screen timeout, and choose the longest time.",
    ];
  }
  if (system === "ios") {
    return [
      "Keep the phone plugged in, and switch Low Power Mode off.",
      "If the screen goes dark all the same: Settings, Display & Brightness, Auto-Lock, Never.",
    ];
  }
  return ["In the system’s power settings, let the screen stay on."];
}

/** What to do where a device was too busy. @param {Browser} browser @returns {string[]} */
export function stepsToRelieve({ system }) {
  const [apps, it] = system === "desktop" ? ["programs", "computer"] : ["apps", "phone"];
  return [
    `Close other ${apps} and pages, and test again.`,
    `If it stays like this, restart the ${it}.`,
  ];
}

/** What to do where a browser lacks something. @param {Browser} browser @returns {string[]} */
export function stepsToUpdate({ family, system, name }) {
  if (system === "ios")
    return [
      "Update the phone (Settings, General, Software Update): its browsers can do what the system can do.",
    ];
  if (system === "android" && family !== "chrome")
    return ["Install Chrome from the Play Store, and open this page there."];
  if (system === "android") return [`Update ${name} in the Play Store.`];
  return ["Update the browser, or open this page in a current Chrome or Firefox."];
}

/**
 * What to do where the relay cannot be reached.
 * @param {Browser} browser
 * @param {boolean} secure it is reached by https
 * @returns {string[]}
 */
export function stepsToReach({ system }, secure) {
  const [it, wifi] = system === "desktop" ? ["computer", "network"] : ["phone", "Wi-Fi"];
  const steps = [
    "Is the relay’s computer on, and does drawercam run there? If it is not yours, ask the person who runs it.",
    `Is this ${it} in the relay’s ${wifi}? A guest network or a VPN keeps them apart.`,
  ];
  if (secure) {
    steps.push(
      "If both is so, reload this page. The relay may have another certificate now (because its address changed or its folder was lost), " +
        "and a browser that was told to trust the old one connects again only when its warning was accepted once more.",
    );
  }
  return steps;
}

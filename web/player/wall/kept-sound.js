// Which cameras' sound is on, and how loud. They stand in the history entry, as the one that is
// large does: so a reload goes on with them, and so does a camera that comes back after its tile
// was gone.

export class KeptSound {
  /** @param {any} state of the history's entry @param {() => void} onchange they are to be kept */
  constructor(state, onchange) {
    this.onchange = onchange;
    const { sound = [], loudness = {} } = state || {};
    /** Names of the cameras. @type {Set<string>} */
    this.sounding = new Set(Array.isArray(sound) ? sound : []);
    /** 0..1, where a person has chosen that. @type {Map<string, any>} */
    this.loudness = new Map(Object.entries(loudness || {}));
  }

  /** @param {string} name @returns {boolean} */
  isOn(name) {
    return this.sounding.has(name);
  }

  /** @param {string} name @param {boolean} on */
  turn(name, on) {
    if (on) this.sounding.add(name);
    else this.sounding.delete(name);
    this.onchange();
  }

  /** @param {string} name @returns {number} 0..1 */
  loudnessOf(name) {
    const value = this.loudness.get(name);
    return value !== undefined && value >= 0 && value <= 1 ? value : 1;
  }

  /** @param {string} name @param {number} value 0..1 */
  setLoudness(name, value) {
    this.loudness.set(name, value);
    this.onchange();
  }

  /** What stands in each history entry of them. */
  get kept() {
    /** @type {Record<string, number>} */
    const loudness = {};
    for (const [name, value] of this.loudness) loudness[name] = value;
    return { sound: [...this.sounding], loudness };
  }
}

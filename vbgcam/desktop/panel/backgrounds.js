// @ts-check
// What stands behind you: blurs, colours, and the gallery of pictures and films, to which anything may be added by
// choosing, dropping or pasting.

import { Unreachable, Refused, remove, thumbnail, upload } from "./api.js";
import { announce, arrange, byId, confirmed, element, icon, settle, toast, write } from "./dom.js";
import { colour, picker, slider } from "./newest.js";
import { Radios } from "./radios.js";

/** @typedef {import("./api.js").Background} Background */
/** @typedef {import("./api.js").Choices} Choices */
/** @typedef {import("./api.js").Status} Status */

/** Thumbnails fetched at a time: a browser has six connections to one program, and commands must not wait for pictures. */
const AT_ONCE = 3;

export class Backgrounds {
  /** @param {(command: import("./api.js").Command, about: string) => Promise<boolean>} act
   * @param {() => Promise<void>} refresh  asks for the choices anew */
  constructor(act, refresh) {
    this.act = act;
    this.refresh = refresh;
    /** @type {Choices | null} */
    this.choices = null;
    /** @type {string} */
    this.now = "";
    /** The last colour and the last strength that none of the offered ones is. */
    this.ownColour = "";
    this.ownStrength = 0;
    /** @type {Map<string, HTMLElement>} by spec */
    this.tiles = new Map();
    /** @type {Map<string, Promise<string>>} addresses of thumbnails, by name */
    this.thumbnails = new Map();
    /** @type {(() => void)[]} */
    this.queue = [];
    this.fetching = 0;

    const show = (/** @type {string} */ spec) => act({ do: "background", to: spec }, "background");
    this.radios = new Radios(byId("backgrounds"), async (spec, radio) => {
      if (radio.dataset.broken) toast(radio.dataset.broken, "background");
      else await show(spec);
    });
    this.blur = slider(byId("blur"), byId("blur-value"), (value) => value.toFixed(2), (value) => act({ do: "blur", to: value }, "blur"));
    colour(byId("colour"), (value) => {
      this.ownColour = value;
      return show(value);
    });
    this.fit = picker(byId("fit"), (value) => act({ do: "set", settings: { "background.fit": value } }, "fit"));
    byId("show-room").addEventListener("click", async () => {
      if (!(await show("none"))) return;
      byId("as-it-is").open = false;
      byId("hide-room").focus();
    });
    byId("hide-room").addEventListener("click", async () => {
      if (await show("last")) byId("h-background").focus();
    });
    byId("backgrounds").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Delete") return;
      const button = this.radios.radioAt(event.target)?.parentElement?.querySelector(".remove");
      if (button instanceof HTMLElement) button.click();
    });

    this.add = element("button", { className: "add", "data-stays": "", "aria-describedby": "add-help" },
      element("span", { className: "thumb" }, icon("plus")), element("span", { className: "name" }, "Add"));
    this.add.onclick = () => byId("files").click();
    byId("pictures").append(this.add);
    byId("files").addEventListener("change", () => {
      const files = [...byId("files").files];
      byId("files").value = ""; // the same file again is a change, too
      this.addFiles(files);
    });
    this.listenForDrops();
    document.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      this.addFiles(files.map(pasted));
    });
  }

  listenForDrops() {
    const veil = byId("drop");
    const files = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") && !byId("main").hidden && !byId("settings").inert;
    document.addEventListener("dragenter", (event) => {
      if (files(event)) veil.hidden = false;
    });
    document.addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      // Else the browser would leave the panel and open the file.
      event.preventDefault();
      event.dataTransfer.dropEffect = files(event) ? "copy" : "none";
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) veil.hidden = true;
    });
    document.addEventListener("drop", (event) => {
      veil.hidden = true;
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      if (files(event)) this.addFiles([...event.dataTransfer.files]);
    });
  }

  /** One file that was added is shown at once: that is why it was. Of several, which?
   * @param {File[]} files */
  async addFiles(files) {
    const added = [];
    for (const file of files) {
      const made = await this.upload(file);
      if (made) added.push(made);
    }
    if (!added.length) return;
    await this.refresh();
    if (files.length === 1) await this.act({ do: "background", to: added[0].spec }, "background");
    else announce(`${added.length} of ${files.length} added`);
  }

  /** @param {File} file */
  async upload(file) {
    const bar = element("progress", { max: 1, value: 0, "aria-label": `Adding ${file.name}` });
    const tile = element("div", { className: "tile adding", "data-stays": "" },
      element("span", { className: "thumb" }, bar), element("span", { className: "name" }, file.name));
    byId("pictures").insertBefore(tile, this.add);
    const about = `add ${file.name}`;
    settle(about);
    try {
      const made = await upload(file, file.name, (share) => (bar.value = share));
      this.drop(made.name); // of an earlier file of that name
      return made;
    } catch (error) {
      if (error instanceof Unreachable) toast(`${file.name} was not added: vbgcam does not answer.`, about);
      else toast(error instanceof Refused ? `${file.name}: ${error.message}` : String(error), about);
      return null;
    } finally {
      tile.remove();
    }
  }

  /** @param {Choices} choices */
  offer(choices) {
    this.choices = choices;
    const blurs = choices.blurs.map(({ spec, label }) => this.tile(spec, () => blurred(spec, label)));
    blurs.push(this.tile("own blur", () => blurred("", "Own")));
    arrange(byId("blurs"), blurs);
    this.colours();
    const gone = new Set([...this.thumbnails.keys()].filter((name) => !choices.backgrounds.some((one) => one.name === name)));
    for (const name of gone) this.drop(name);
    this.pictures();
    if (this.now) this.marked();
  }

  /** @param {string} key @param {() => HTMLElement} make */
  tile(key, make) {
    const tile = this.tiles.get(key) ?? make();
    this.tiles.set(key, tile);
    return tile;
  }

  colours() {
    const named = this.choices?.colours ?? [];
    const own = this.ownColour && !named.some(({ spec }) => spec.toLowerCase() === this.ownColour) ? [{ spec: this.ownColour, label: `Your own, ${this.ownColour}` }] : [];
    arrange(byId("colours"), [...named, ...own].map(({ spec, label }) => this.tile(spec, () => swatch(spec, label))));
  }

  pictures() {
    const all = this.choices?.backgrounds ?? [];
    const tiles = all.map((one) => {
      const key = `${one.spec}\n${one.broken}`;
      return this.tile(key, () => this.picture(one));
    });
    // A picture from elsewhere: from the command line, or the settings file.
    if (elsewhere(this.now) && !all.some(({ spec }) => spec === this.now)) tiles.unshift(this.tile(this.now, () => foreign(this.now)));
    arrange(byId("pictures"), tiles);
    byId("pictures").classList.toggle("empty", tiles.length === 0);
    write(this.add.querySelector(".name"), tiles.length ? "Add" : "Add a picture or a film");
  }

  /** @param {Background} one */
  picture(one) {
    const image = element("span", { className: "thumb" }, icon(one.broken ? "warn" : "picture"));
    const radio = element("button", { role: "radio", className: "choice", "data-value": one.spec, title: one.broken || one.name },
      image, element("span", { className: "name" }, one.label));
    if (one.kind === "film") image.append(element("span", { className: "badge" }, "film"));
    if (one.broken) {
      radio.dataset.broken = `${one.name}: ${one.broken}`;
      radio.setAttribute("aria-disabled", "true");
      radio.append(element("span", { className: "unseen" }, `cannot be used: ${one.broken}`));
    } else {
      this.thumbnail(one.name).then((address) => {
        const picture = element("img", { src: address, alt: "" });
        picture.decode().then(() => image.firstElementChild?.replaceWith(picture), () => {});
      }, () => {}); // its icon stays
    }
    const tile = element("div", { className: "tile", "data-name": one.name }, radio);
    if (one.removable) {
      const button = element("button", { className: "remove", tabIndex: -1, "aria-label": `Remove ${one.label}` }, icon("cross"));
      button.onclick = () => this.remove(one, radio, button);
      tile.append(button);
    }
    return tile;
  }

  /** @param {Background} one @param {HTMLElement} radio @param {HTMLElement} button */
  async remove(one, radio, button) {
    if (!(await confirmed(button, `Remove “${one.label}” from the gallery? Its file is deleted.`, "Remove", "Keep"))) return;
    const all = this.radios.all;
    const at = all.indexOf(radio);
    try {
      await remove(one.name);
    } catch (error) {
      toast(error instanceof Refused ? error.message : "vbgcam does not answer.", `remove ${one.name}`);
      return;
    }
    announce(`${one.label} removed`);
    await this.refresh();
    const left = this.radios.all;
    (left[Math.min(at, left.length - 1)] ?? this.add).focus();
  }

  /** The address of a gallery's thumbnail, for an img. @param {string} name */
  thumbnail(name) {
    const known = this.thumbnails.get(name);
    if (known) return known;
    const address = new Promise((resolve, reject) => {
      this.queue.push(() => thumbnail(name).then((image) => resolve(URL.createObjectURL(image)), reject).finally(() => {
        this.fetching -= 1;
        this.next();
      }));
    });
    this.thumbnails.set(name, address);
    // One that failed is asked for again when its tile is made anew.
    address.catch(() => this.thumbnails.delete(name));
    this.next();
    return address;
  }

  next() {
    while (this.fetching < AT_ONCE && this.queue.length) {
      this.fetching += 1;
      this.queue.shift()?.();
    }
  }

  /** A picture that is no more: its tile, and the memory of its thumbnail. @param {string} name */
  drop(name) {
    this.thumbnails.get(name)?.then(URL.revokeObjectURL, () => {});
    this.thumbnails.delete(name);
    for (const [key, tile] of this.tiles) if (tile.dataset.name === name) {
      this.tiles.delete(key);
      tile.remove();
    }
  }

  /** @param {Status} status */
  show(status) {
    const { show, fit } = status.settings.background;
    const moved = show !== this.now;
    this.now = show;
    byId("plain").hidden = show !== "none" && !status.room_shown;
    write(byId("plain-word"), status.room_shown ? "Your room is visible." : "No background is chosen.");
    write(byId("plain-note"), status.room_shown ? "Others see everything your camera sees." : "Your room will be visible as soon as you are on air.");
    this.fit.show(fit);
    const strength = blurOf(show);
    if (strength !== null) this.blur.show(strength);
    if (show.startsWith("#") && !this.ownColour && !this.choices?.colours.some(({ spec }) => spec === show)) this.ownColour = show.toLowerCase();
    if (!this.choices) return;
    this.colours();
    if (moved) this.pictures();
    this.marked();
  }

  /** Which radio is the one that is shown. */
  marked() {
    const strength = blurOf(this.now);
    const blurs = this.choices?.blurs ?? [];
    const named = (/** @type {number} */ value) => blurs.find(({ spec }) => blurOf(spec) === value)?.spec;
    if (strength !== null && !named(strength)) this.ownStrength = strength;
    else if (!this.ownStrength) this.ownStrength = 0.85;
    const own = this.tiles.get("own blur")?.querySelector("[role=radio]");
    if (own instanceof HTMLElement) {
      own.dataset.value = `blur:${this.ownStrength}`;
      soften(own, this.ownStrength);
    }
    const blur = strength === null ? null : (named(strength) ?? `blur:${strength}`);
    this.radios.mark(blur ?? (this.now.startsWith("#") ? this.now.toLowerCase() : this.now));
  }
}

/** @param {string} spec */
function elsewhere(spec) {
  return spec !== "" && spec !== "none" && !spec.startsWith("#") && blurOf(spec) === null;
}

/** How strong a blur it is; null: none at all. @param {string} spec */
export function blurOf(spec) {
  const [, strength] = /^blur(?::(.+))?$/.exec(spec) ?? [];
  if (strength !== undefined) return Number(strength);
  return spec === "blur" ? Number(byId("blur").min) : null;
}

/** @param {string} spec @param {string} label */
function blurred(spec, label) {
  // A drawn scene: what the camera sees is shown to nobody, not even small and blurred.
  const scene = element("span", { className: "thumb scene" }, element("i"));
  const radio = element("button", { role: "radio", className: "choice", "data-value": spec }, scene, element("span", { className: "name" }, label));
  soften(radio, blurOf(spec) ?? 1);
  return element("div", { className: "tile" }, radio);
}

/** @param {HTMLElement} radio @param {number} strength */
function soften(radio, strength) {
  radio.style.setProperty("--strength", String(strength));
}

/** @param {string} spec @param {string} label */
function swatch(spec, label) {
  const radio = element("button", { role: "radio", className: "swatch", "data-value": spec.toLowerCase(), title: label, "aria-label": label });
  radio.style.setProperty("--colour", spec);
  return radio;
}

/** @param {string} spec */
function foreign(spec) {
  const name = spec.split(/[\\/]/).pop() ?? spec;
  return element("div", { className: "tile" },
    element("button", { role: "radio", className: "choice", "data-value": spec, title: spec },
      element("span", { className: "thumb" }, icon("picture")), element("span", { className: "name" }, name)));
}

/** A picture from the clipboard is called image.png by every browser. @param {File} file */
function pasted(file) {
  if (file.name !== "image.png") return file;
  const now = new Date();
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  return new File([file], `pasted ${day} ${two(now.getHours())}.${two(now.getMinutes())}.${two(now.getSeconds())}.png`, { type: file.type });
}

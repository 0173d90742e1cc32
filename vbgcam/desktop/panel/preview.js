// @ts-check
// What others see: the preview with its lamp, and what is said about it. Its pictures are those that were sent: nobody
// sees the camera here either.

import { preview } from "./api.js";
import { byId, element, icon, write } from "./dom.js";

/** @typedef {import("./api.js").Status} Status */

/** What the lamp says, and its colour. @type {Record<string, [string, string]>} */
const LAMPS = {
  "on air": ["On air", "live"],
  covered: ["Covered", "wait"],
  idle: ["Camera off", "off"],
  paused: ["Paused", "off"],
  starting: ["Starting", "wait soon"],
  "no output": ["No output", "wait"],
  stopped: ["Stopped", "off"],
};

export class Preview {
  /** @param {(command: import("./api.js").Command, about: string) => Promise<boolean>} act */
  constructor(act) {
    this.act = act;
    this.picture = byId("picture");
    this.context = this.picture.getContext("2d", { alpha: false });
    /** @type {ReturnType<typeof preview> | null} */
    this.socket = null;
    this.watching = false;
    this.masking = false;
    this.paused = false;
    /** @type {Status | null} */
    this.status = null;
    byId("see").addEventListener("click", () => this.see(!this.watching));
    byId("pause").addEventListener("click", () => act({ do: this.paused ? "resume" : "pause" }, "pause"));
    this.showMaskWhileHeld(byId("mask"));
    document.addEventListener("visibilitychange", () => this.visible());
  }

  /** Opens the preview, where it is not open. */
  open() {
    if (this.socket) return;
    const width = Math.ceil((byId("stage").clientWidth * Math.min(2, devicePixelRatio)) / 160) * 160;
    const socket = preview(Math.min(1280, Math.max(320, width)), (image) => this.draw(image), () => {
      if (this.socket === socket) this.forget();
    });
    this.socket = socket;
  }

  close() {
    this.socket?.close();
    this.forget();
  }

  forget() {
    this.socket = null;
    // The camera went off with the socket. It does not go on again by itself when the program is back.
    this.see(false);
    this.mask(false);
  }

  /** @param {Blob} image */
  async draw(image) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(image);
    } catch {
      return; // cut off: the next one comes
    }
    const { width, height } = bitmap;
    if (this.picture.width !== width || this.picture.height !== height) Object.assign(this.picture, { width, height });
    this.context.drawImage(bitmap, 0, 0);
    bitmap.close();
    byId("waiting").hidden = true;
  }

  /** A tab that nobody sees needs no pictures, and is no reason for the camera to be on. */
  visible() {
    const hidden = document.hidden;
    if (hidden) this.mask(false);
    this.socket?.say({ pause: hidden });
    if (this.watching) this.socket?.say({ see: !hidden });
  }

  /** @param {boolean} on */
  see(on) {
    if (on && !this.socket) return;
    if (on !== this.watching) this.socket?.say({ see: on });
    this.watching = on;
    byId("see").setAttribute("aria-checked", String(on));
    if (this.status) this.describe(this.status);
  }

  /** @param {boolean} on */
  mask(on) {
    if (on && !this.socket) return;
    if (on !== this.masking) this.socket?.say({ mask: on });
    this.masking = on;
    byId("mask").setAttribute("aria-pressed", String(on));
    write(byId("caption"), on ? "The mask: white is you" : "What others see");
    this.picture.setAttribute("aria-label", on ? "Live preview: the mask" : "Live preview: what others see");
  }

  /** @param {HTMLElement} button */
  showMaskWhileHeld(button) {
    const key = (/** @type {KeyboardEvent} */ event) => event.key === " " || event.key === "Enter";
    const down = () => this.mask(true);
    const up = () => this.mask(false);
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      // Wherever the finger is lifted, the button hears of it.
      button.setPointerCapture(event.pointerId);
      down();
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(end, up);
    button.addEventListener("keydown", (event) => {
      if (!key(event)) return;
      event.preventDefault(); // the page would scroll, and a click follow
      if (!event.repeat) down();
    });
    button.addEventListener("keyup", (event) => {
      if (!key(event)) return;
      event.preventDefault();
      up();
    });
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press of a finger
    button.addEventListener("click", (event) => {
      // Neither finger nor key: a screen reader or a switch, which cannot hold. Once for the mask, once for the picture.
      if (event.detail === 0) this.mask(!this.masking);
    });
  }

  /** @param {Status} status */
  show(status) {
    this.status = status;
    this.paused = status.paused;
    const [word, style] = status.room_shown ? ["Your room is visible", "live"] : (LAMPS[status.state] ?? [status.state, "off"]);
    const lamp = byId("lamp");
    lamp.className = `lamp ${style}`;
    write(byId("lamp-word"), word);
    document.title = `${word} – VBG Camera`;
    const pause = byId("pause");
    if (pause.dataset.paused !== String(status.paused)) {
      pause.dataset.paused = String(status.paused);
      pause.replaceChildren(icon(status.paused ? "play" : "pause"), element("span", {}, status.paused ? "Go on" : "Pause"));
      pause.classList.toggle("strong", status.paused);
    }
    this.describe(status);
  }

  /** @param {Status} status */
  describe(status) {
    const [sentence, note] = words(status, this.watching);
    write(byId("sentence"), sentence);
    write(byId("sentence-note"), note);
  }
}

/** What is going on, and what follows from it. @param {Status} status @param {boolean} watching @returns {[string, string]} */
export function words(status, watching) {
  const plain = status.room_shown;
  switch (status.state) {
    case "on air":
      if (status.readers.length) return [plain ? "Others see you and your room." : "Others see you before your background.", `${listed(status.readers)} read${status.readers.length > 1 ? "" : "s"} this picture.`];
      if (watching) return ["Your camera is on for this page.", "It goes off when you turn “Show me” off, or leave the page."];
      return [plain ? "You and your room are on air." : "You are on air.", "This is what every program sees that reads the camera."];
    case "covered":
      return ["Others see the background alone.", status.why ? `${sentence(status.why)}.` : ""];
    case "idle":
      return ["Nobody is watching: your camera is off.", "It goes on when a call reads it. “Show me” turns it on for this page."];
    case "paused":
      return ["Paused.", "Others see the background alone until you go on."];
    case "no output":
      return ["The picture goes nowhere.", status.why ? `${sentence(status.why)}.` : "There is no virtual camera to send it to."];
    case "starting":
      return ["Starting.", status.why ? `${sentence(status.why)}.` : "Others see the background alone until all is ready."];
    default:
      return [`${sentence(status.state)}.`, status.why ? `${sentence(status.why)}.` : ""];
  }
}

/** @param {string} text */
function sentence(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1).replace(/\.$/, "");
}

/** @param {string[]} names */
function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

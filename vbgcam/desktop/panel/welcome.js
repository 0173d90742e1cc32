// @ts-check
// The first start: what must be there, each ticked off by itself as soon as it is.

import { byId, command, element, icon, write } from "./dom.js";
import { fetched, progress } from "./settings.js";

/** @typedef {import("./api.js").Choices} Choices */
/** @typedef {import("./api.js").Status} Status */

export class Welcome {
  /** @param {(command: import("./api.js").Command, about: string) => Promise<boolean>} act */
  constructor(act) {
    this.act = act;
    byId("welcomed").addEventListener("click", () => act({ do: "welcomed" }, "welcomed"));
    this.bar = element("progress", { "aria-label": "How much of the network is here" });
    /** @type {Map<string, string>} */
    this.shown = new Map();
  }

  get open() {
    return !byId("welcome").hidden;
  }

  /** @param {Status} status @param {Choices | null} choices */
  show(status, choices) {
    const begins = !status.welcomed && !this.open;
    const ends = status.welcomed && this.open;
    byId("welcome").hidden = status.welcomed;
    byId("settings").hidden = !status.welcomed;
    if (ends) byId("h-background").focus();
    if (status.welcomed) return;
    if (begins) this.shown.clear();
    const done = [this.camera(choices), this.virtual(choices), this.model(status, choices)].every(Boolean);
    byId("ending").classList.toggle("done", done);
    byId("welcomed").classList.toggle("strong", done);
    write(byId("welcomed"), done ? "To the backgrounds" : "Go on without");
  }

  /** Whether the step is done; what it says is written only when it changes, for a button in it may have the focus.
   * @param {string} id @param {"done" | "busy" | "missing"} state @param {string} words @param {() => Node[]} [more] */
  step(id, state, words, more = () => []) {
    const step = byId(id);
    if (this.shown.get(id) !== `${state} ${words}`) {
      this.shown.set(id, `${state} ${words}`);
      step.className = state;
      step.lastElementChild.replaceChildren(
        element("p", {}, ...(state === "done" ? [icon("check"), element("span", { className: "unseen" }, "Done: ")] : []), words), ...more());
    }
    return state === "done";
  }

  /** @param {Choices | null} choices */
  camera(choices) {
    const cameras = choices?.cameras ?? null;
    if (cameras === null) return this.step("step-camera", "busy", "Looking for it.");
    if (!cameras.length) {
      return this.step("step-camera", "missing", "No camera is seen. Plug it in, or open its shutter: this page notices. If it stays so, this says why:", () => [command("vbgcam doctor")]);
    }
    const now = cameras.find((one) => one.now) ?? cameras[0];
    if (cameras.length === 1) return this.step("step-camera", "done", `${now.label} is seen.`);
    const list = cameras.map(({ label }) => label).join("\n");
    return this.step("step-camera", "done", `${now.label} is taken.`, () => {
      const select = element("select", { title: list }, ...cameras.map(({ spec, label }) => element("option", { value: spec, selected: spec === now.spec }, label)));
      select.onchange = () => this.act({ do: "camera", to: select.value }, "camera");
      return [element("label", { className: "inline" }, "Take another: ", select)];
    });
  }

  /** @param {Choices | null} choices */
  virtual(choices) {
    if (choices === null) return this.step("step-virtual", "busy", "Looking for it.");
    const { there, name, fix } = choices.virtual;
    if (there) return this.step("step-virtual", "done", `“${name}” is there.`);
    return this.step("step-virtual", "missing", fix ? "It is not there yet. This makes it, in a terminal; this page notices when it is there." : "It is not there yet.", () => (fix ? [command(fix)] : []));
  }

  /** @param {Status} status @param {Choices | null} choices */
  model({ loading, model, model_problem: problem, settings }, choices) {
    if (loading !== null) {
      progress(this.bar, loading);
      // The words change with each report: only they are written, and the bar stays.
      const step = byId("step-model");
      this.step("step-model", "busy", "Downloading (once). Until then others see the background alone.", () => [this.bar, element("p", { className: "soft amount" })]);
      write(step.querySelector(".amount"), fetched(loading));
      return false;
    }
    if (problem) {
      return this.step("step-model", "missing", problem, () => {
        const retry = element("button", { className: "button" }, "Retry");
        retry.addEventListener("click", () => this.act({ do: "model", to: settings.model.name }, "model"));
        return [retry];
      });
    }
    const now = choices?.models.find((one) => one.now);
    if (now?.here) return this.step("step-model", "done", `${now.spec === "auto" && model ? model : now.label} is ready.`);
    if (!now) return model ? this.step("step-model", "done", `${model} is ready.`) : this.step("step-model", "busy", "Looking for it.");
    return this.step("step-model", "missing", `${now.label} is not downloaded (${now.cost}).`);
  }
}

// @ts-check
// How you are cut out and filmed: edges, camera, network, each with what it costs.

import { arrange, byId, element, write } from "./dom.js";
import { picker, slider } from "./newest.js";
import { Radios } from "./radios.js";

/** @typedef {import("./api.js").Choices} Choices */
/** @typedef {import("./api.js").Status} Status */
/** @typedef {(command: import("./api.js").Command, about: string) => Promise<boolean>} Act */

/** The mask's steps, in the order in which they are taken. @type {[string, string, string][]} */
const STEPS = [
  ["rest", "Rest while little moves", "the network looks where something moved, and not at each picture"],
  ["crop", "Look at you alone", "the network sees your part of the picture"],
  ["memory", "Know the room", "what stands still is learned, in memory only"],
  ["motion", "Follow you", "a late mask moves along with you"],
  ["time", "Hold still", "where nothing moves, the mask does not either"],
  ["edges", "Fine outline", "it follows your colours"],
  ["colours", "No fringe", "the room’s colours go from your outline"],
];

/** @type {[string, string][]} */
const SWITCH = [
  ["preset", "as above"],
  ["on", "on"],
  ["off", "off"],
];

export class Settings {
  /** @param {Act} act @param {() => Promise<void>} refresh  asks for the choices anew: they say which one it is now */
  constructor(act, refresh) {
    const set = (/** @type {string} */ key, /** @type {unknown} */ value) => act({ do: "set", settings: { [key]: value } }, key);
    this.presets = new Radios(byId("presets"), (name) => act({ do: "preset", to: name }, "preset"));
    this.cameras = new Radios(byId("cameras"), async (spec) => (await act({ do: "camera", to: spec }, "camera")) && refresh());
    this.models = new Radios(byId("models"), async (spec) => (await act({ do: "model", to: spec }, "model")) && refresh());
    this.light = slider(byId("light"), byId("light-value"), (value) => (value ? value.toFixed(2) : "none"), (value) => set("background.light_wrap", value));
    this.age = slider(byId("age"), byId("age-value"), (value) => `${value / 1000} s`, (value) => set("mask.max_age_ms", value));
    this.steps = STEPS.map(([name, label, what]) => {
      const choice = element("select", {}, ...SWITCH.map(([value, word]) => element("option", { value }, word)));
      byId("mask-steps").append(element("label", {}, element("span", {}, element("b", {}, label), element("small", {}, what)), choice));
      return { name, picker: picker(choice, (value) => set(`mask.${name}`, value)) };
    });
    this.size = picker(byId("size"), (value) => set("camera.size", value));
    byId("mirror").addEventListener("click", () => act({ do: "mirror", to: byId("mirror").getAttribute("aria-checked") !== "true" }, "mirror"));
    byId("go-back").addEventListener("click", () => this.back && act({ do: "set", settings: this.back }, "network"));
    byId("cancel-model").addEventListener("click", async () => (await act({ do: "model", to: "cancel" }, "model")) && refresh());
    byId("retry-model").addEventListener("click", () => act({ do: "model", to: this.chosen }, "model"));
    /** The network of the settings. */
    this.chosen = "auto";
    /** @type {Record<string, string | number> | null} what the network's settings were before something lighter was taken */
    this.back = null;
    /** @type {Map<string, HTMLElement>} */
    this.rows = new Map();
    /** @type {Choices | null} */
    this.choices = null;
  }

  /** @param {Choices} choices @param {Status} status */
  offer(choices, status) {
    this.choices = choices;
    arrange(byId("presets"), choices.presets.map(({ name, label, cost }) => this.row(`preset ${name}`, name, label, cost)));
    arrange(byId("cameras"), [
      ...choices.cameras.map(({ spec, label, sizes }) => this.row(`camera ${spec}`, spec, label, sizes.length ? `up to ${largest(sizes)}` : "")),
      ...(choices.cameras.length ? [] : [this.none("No camera is seen. Plug one in: it appears here.")]),
    ]);
    arrange(byId("models"), choices.models.map(({ spec, label, cost, here }) => this.row(`model ${spec}`, spec, label, cost, here ? "" : "will download")));
    this.show(status);
  }

  /** A radio with what it costs. @param {string} key @param {string} value @param {string} label @param {string} cost */
  row(key, value, label, cost, note = "") {
    const row = this.rows.get(key) ?? element("button", { role: "radio", className: "option", "data-value": value },
      element("i", { className: "dot", "aria-hidden": "true" }), element("b"), element("small"), element("em"));
    this.rows.set(key, row);
    for (const [tag, text] of [["b", label], ["small", cost], ["em", note]]) write(/** @type {Element} */ (row.querySelector(tag)), text);
    return row;
  }

  /** @param {string} text */
  none(text) {
    const row = this.rows.get("none") ?? element("p", { className: "empty" }, text);
    this.rows.set("none", row);
    return row;
  }

  /** @param {Status} status */
  show(status) {
    const { mask, background, output, camera } = status.settings;
    this.light.show(background.light_wrap);
    this.age.show(Number(mask.max_age_ms));
    for (const { name, picker: step } of this.steps) step.show(String(mask[name]));
    byId("mirror").setAttribute("aria-checked", String(output.mirror));
    this.presets.mark(String(mask.preset));
    if (this.choices) {
      const now = this.choices.cameras.find((one) => one.now);
      this.cameras.mark(now?.spec ?? null);
      this.models.mark(this.choices.models.find((one) => one.now)?.spec ?? null);
      sizes(now?.sizes ?? [], camera.size);
      this.size.show(camera.size);
    }
    write(byId("camera-facts"), filmed(status));
    write(byId("model-facts"), running(status));
    this.loading(status.loading);
    byId("cancel-model").hidden = status.loading?.done === null && !status.device; // the first one: there is nothing to go back to
    this.chosen = status.settings.model.name;
    byId("no-model").hidden = status.loading !== null || !status.model_problem;
    write(byId("no-model-why"), status.model_problem);
    this.helped(status.helped);
  }

  /** @param {Status["helped"]} helped */
  helped(helped) {
    byId("helped").hidden = helped === null;
    this.back = helped?.back ?? null;
    if (helped === null) return;
    write(byId("helped-why"), `${helped.why}.`);
    write(byId("go-back"), `Go back to ${helped.from}`);
  }

  /** @param {Status["loading"]} loading */
  loading(loading) {
    byId("loading").hidden = loading === null;
    if (loading === null) return;
    progress(byId("loading-bar"), loading);
    write(byId("loading-word"), fetched(loading));
  }
}

/** @param {HTMLProgressElement} bar @param {NonNullable<Status["loading"]>} loading */
export function progress(bar, { done, total }) {
  if (done !== null && total) {
    bar.max = total;
    bar.value = done;
  } else bar.removeAttribute("value");
}

/** @param {NonNullable<Status["loading"]>} loading */
export function fetched({ model, done, total, host }) {
  const mb = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0);
  if (done === null) return `Loading ${model}`;
  if (!done) return `Asking ${host} for ${model}`;
  return `${model}: ${mb(done)}${total ? ` of ${mb(total)}` : ""} MB from ${host}`;
}

/** @param {string[]} offered @param {string} asked */
function sizes(offered, asked) {
  const select = byId("size");
  const all = offered.includes(asked) ? offered : [asked, ...offered];
  const options = [...select.options].map((/** @type {HTMLOptionElement} */ { value }) => value);
  if (options.join() !== all.join()) select.replaceChildren(...all.map((size) => element("option", { value: size }, size.replace("x", " × "))));
}

/** @param {string[]} all  of WIDTHxHEIGHT */
function largest(all) {
  const pixels = (/** @type {string} */ size) => size.split("x").reduce((product, side) => product * Number(side), 1);
  return all.reduce((best, size) => (pixels(size) > pixels(best) ? size : best)).replace("x", " × ");
}

/** @param {Status} status */
function filmed({ source, source_format: format, source_size: size, source_fps: fps }) {
  const parts = [size?.replace("x", " × "), fps ? `${Math.round(fps)} frames a second` : "", format].filter(Boolean);
  return parts.length ? `It gives ${parts.join(", ")}.` : source ? "It is off." : "";
}

/** @param {Status} status */
function running({ model, model_why: why, device, input, precision, inference_ms: spread, less }) {
  if (!model) return "";
  const parts = [`${model} runs on ${device || "this machine"}`, input ? `input ${input.replace("x", " × ")}` : "", precision, spread?.p50 ? `${spread.p50.toFixed(1)} ms a mask` : "", less ? `masks made ${less}, since this machine is busy` : ""];
  return `${parts.filter(Boolean).join(", ")}.${why ? ` Chosen because: ${why}.` : ""}`;
}

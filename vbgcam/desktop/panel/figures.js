// @ts-check
// How it runs: three small charts of the last minute, who reads the camera, and what went wrong, with its fix.

import { arrange, byId, command, drawn, element, icon, write } from "./dom.js";

/** @typedef {import("./api.js").Status} Status */
/** @typedef {import("./api.js").Trouble} Trouble */

/** Values kept, one a second. */
const KEPT = 60;
const WIDTH = 120;
const HEIGHT = 36;

/** One figure, and its line over the last minute. Where there is no value the line has a gap. */
export class Chart {
  /** @param {HTMLElement} place @param {{label: string, unit: string, floor: number, digits: number, none: string}} kind
   * `floor`: what the chart shows at least, so that small noise stays small */
  constructor(place, kind) {
    this.kind = kind;
    /** @type {(number | null)[]} */
    this.values = [];
    this.number = element("b", {}, "–");
    this.area = drawn("path", { class: "area" });
    this.line = drawn("path", { class: "line" });
    this.end = drawn("circle", { class: "end", r: 2.5, visibility: "hidden" });
    const chart = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    chart.append(this.area, this.line);
    this.spoken = element("span", { className: "unseen" });
    place.replaceChildren(
      element("p", {}, element("span", {}, kind.label), element("span", { className: "value" }, this.number, element("small", {}, kind.unit))), chart, this.spoken);
  }

  /** @param {number | null} value */
  add(value) {
    const { unit, digits, none, floor } = this.kind;
    this.values = [...this.values, value].slice(-KEPT);
    const there = this.values.filter((one) => one !== null);
    const word = (/** @type {number} */ number) => number.toFixed(digits);
    write(this.number, value === null ? "–" : word(value));
    const most = Math.max(floor, ...there) * 1.1;
    const at = (/** @type {number} */ index, /** @type {number} */ one) => `${round((WIDTH * (index + KEPT - this.values.length)) / (KEPT - 1))} ${round(HEIGHT - 1 - ((HEIGHT - 3) * one) / most)}`;
    let line = "";
    let area = "";
    for (const run of runs(this.values)) {
      const points = run.map(([index, one]) => at(index, one));
      if (points.length < 2) continue;
      line += `M${points.join("L")}`;
      const x = (/** @type {string} */ point) => point.split(" ")[0];
      area += `M${x(points[0])} ${HEIGHT}L${points.join("L")}L${x(points[points.length - 1])} ${HEIGHT}Z`;
    }
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
    write(this.spoken, there.length ? `In the last minute from ${word(Math.min(...there))} to ${word(Math.max(...there))} ${unit}.` : none);
  }
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/** The stretches without a gap. @param {(number | null)[]} values @returns {[number, number][][]} */
function runs(values) {
  /** @type {[number, number][][]} */
  const found = [[]];
  values.forEach((value, index) => {
    if (value === null) found.push([]);
    else found[found.length - 1].push([index, value]);
  });
  return found;
}

export class Figures {
  constructor() {
    this.fps = new Chart(byId("figure-fps"), { label: "Frames", unit: "a second", floor: 30, digits: 0, none: "No frames yet." });
    this.age = new Chart(byId("figure-age"), { label: "Mask age", unit: "ms", floor: 50, digits: 0, none: "No mask in use." });
    this.latency = new Chart(byId("figure-latency"), { label: "Added delay", unit: "ms", floor: 20, digits: 1, none: "No figure yet." });
    /** @type {Map<string, HTMLElement>} */
    this.rows = new Map();
  }

  /** Once a second. @param {import("./api.js").Live} live */
  beat(live) {
    this.fps.add(live.fps);
    this.age.add(live.mask_age_ms);
    this.latency.add(live.added_latency_ms);
  }

  /** @param {Status} status @param {boolean} watching */
  show(status, watching) {
    const names = [...status.readers, ...(watching ? ["this page"] : [])];
    const words = names.length ? names : [status.watched ? "a program that cannot be named" : "nobody"];
    const list = byId("readers");
    if ([...list.children].map((one) => one.textContent).join("\n") !== words.join("\n")) {
      list.replaceChildren(...words.map((word) => element("li", names.length || status.watched ? {} : { className: "none" }, word)));
    }
    const now = status.troubles.filter((one) => one.now);
    arrange(byId("notices"), now.map((one) => this.row("now", one)));
    const all = status.troubles.map((one) => this.row("log", one));
    arrange(byId("troubles"), all.length ? all : [this.none()]);
    for (const key of this.rows.keys()) if (!status.troubles.some((one) => key.endsWith(id(one))) && key !== "none") this.rows.delete(key);
    byId("config").hidden = !status.config.problems.length;
    write(byId("config-path"), status.config.path);
    const lines = byId("config-problems");
    if ([...lines.children].map((one) => one.textContent).join("\n") !== status.config.problems.join("\n")) {
      lines.replaceChildren(...status.config.problems.map((line) => element("li", {}, line)));
    }
  }

  none() {
    const row = this.rows.get("none") ?? element("li", { className: "empty" }, icon("check"), "Nothing went wrong.");
    this.rows.set("none", row);
    return row;
  }

  /** @param {"now" | "log"} where @param {Trouble} trouble */
  row(where, trouble) {
    const key = `${where} ${id(trouble)}`;
    const row = this.rows.get(key) ?? (where === "now" ? notice(trouble) : entry(trouble));
    this.rows.set(key, row);
    row.classList.toggle("present", trouble.now);
    return row;
  }
}

/** @param {Trouble} trouble */
function id({ at, what, fix }) {
  return `${at} ${what} ${fix}`;
}

/** @param {Trouble} trouble */
function notice({ what, fix }) {
  return element("div", { className: "notice" }, icon("warn"), element("div", {}, element("p", {}, what), ...(fix ? [command(fix)] : [])));
}

/** @param {Trouble} trouble */
function entry({ at, what, fix }) {
  const when = new Date(at * 1000);
  const today = when.toDateString() === new Date().toDateString();
  const time = when.toLocaleString(undefined, today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" });
  return element("li", {},
    element("time", { dateTime: when.toISOString() }, time), element("span", { className: "tag" }, "now"),
    element("p", {}, what), ...(fix ? [command(fix)] : []));
}

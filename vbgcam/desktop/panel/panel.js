// @ts-check
// The panel: follows the program's status and hands it to the parts of the page. Nothing on the page is changed because
// somebody pressed it; it changes when the status says that it is so.

import * as api from "./api.js";
import { Backgrounds } from "./backgrounds.js";
import { announce, byId, confirmed, copied, settle, toast, write } from "./dom.js";
import { Figures } from "./figures.js";
import { Settings } from "./settings.js";
import { Preview } from "./preview.js";
import { Welcome } from "./welcome.js";

/** @typedef {import("./api.js").Status} Status */

const BEAT = 1000;
/** Milliseconds between two looks for a program that is not there; a browser writes each into its console. */
const RETRY = 2000;
/** Milliseconds between two looks of a tab that nobody sees. It does not wait for changes, as the others do: a browser has
 * six connections to one program, and six such tabs would hold them all. */
const UNSEEN = 5000;
/** Milliseconds after the last change of a row of them: choices are asked of the devices. */
const QUIET = 600;
/** Milliseconds between two looks of the first start, whose steps tick themselves off. */
const WATCH = 2000;
/** The longest wait for a status that has what was just commanded. */
const LONGEST = 2000;
/** Commands whose outcome is read out already: by the slider, the list or the lamp. */
const ANNOUNCED = ["blur", "set", "pause", "resume"];

/** @type {Status | null} */
let status = null;
/** @type {api.Choices | null} */
let choices = null;
/** @type {boolean | null} null: nobody knows yet */
let there = null;
/** @type {Set<() => void>} */
const waiting = new Set();

const preview = new Preview(act);
const backgrounds = new Backgrounds(act, offer);
const settings = new Settings(act, offer);
const figures = new Figures();
const welcome = new Welcome(act);

/** Sends a command and waits until the status has what came of it. What is refused is said. True where it was done.
 * @param {api.Command} command @param {string} about */
async function act(command, about) {
  try {
    const { said, revision } = await api.send(command);
    settle(about);
    if (said && !ANNOUNCED.includes(command.do)) announce(said);
    await reached(revision);
    return true;
  } catch (error) {
    if (error instanceof api.NotAllowed) shut(error);
    else if (error instanceof api.Refused) toast(error.message, about);
    else if (!(error instanceof api.Unreachable)) throw error; // that it is gone is seen by who follows the status
    return false;
  }
}

/** @param {number} revision */
function reached(revision) {
  return new Promise((resolve) => {
    const check = () => {
      if (there && status !== null && status.revision < revision) return;
      waiting.delete(check);
      clearTimeout(late);
      resolve(undefined);
    };
    const late = setTimeout(() => {
      waiting.delete(check);
      resolve(undefined);
    }, LONGEST);
    waiting.add(check);
    check();
  });
}

/** Follows the status for as long as the page is open. */
async function follow() {
  /** @type {number | undefined} */
  let after;
  for (;;) {
    try {
      const found = await api.status(document.hidden ? undefined : after);
      after = found.revision;
      if (!there) arrived();
      update(found);
      if (document.hidden) await rest(UNSEEN);
    } catch (error) {
      if (error instanceof api.NotAllowed) return shut(error);
      after = undefined;
      if (error instanceof DOMException) continue; // the machine slept; the next answer tells
      if (error instanceof api.Refused) toast(error.message, "status");
      else lost();
      await rest(RETRY);
    }
  }
}

/** The figures, which change without a revision. */
async function beat() {
  for (;;) {
    await pause(BEAT);
    if (!there || document.hidden) continue;
    try {
      const found = await api.status();
      figures.beat(found.live);
      update(found);
      preview.open(); // anew, where the preview ended by itself
    } catch {
      // who follows the status sees it too, and says so
    }
  }
}

/** @param {Status} found */
function update(found) {
  // Two requests are on their way at a time: an answer that was overtaken is old.
  if (status && status.pid === found.pid && found.revision < status.revision) return;
  const before = status;
  status = found;
  show(found);
  if (before && before.state !== found.state) announce(`${byId("lamp-word").textContent}. ${byId("sentence").textContent}`);
  for (const check of [...waiting]) check();
  if (!before || before.revision !== found.revision || before.pid !== found.pid) offerSoon();
}

/** @param {Status} found */
function show(found) {
  preview.show(found);
  figures.show(found, preview.watching);
  welcome.show(found, choices);
  backgrounds.show(found);
  settings.show(found);
  write(byId("version"), `vbgcam ${found.version}`);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let soon;

function offerSoon() {
  clearTimeout(soon);
  soon = setTimeout(offer, choices === null ? 0 : QUIET);
}

/** Asks what there is to choose from. */
async function offer() {
  clearTimeout(soon);
  try {
    choices = await api.choices();
  } catch (error) {
    if (error instanceof api.Refused) toast(error.message, "choices");
    else if (!(error instanceof api.Unreachable || error instanceof api.NotAllowed)) throw error; // who follows the status sees it
    return;
  }
  backgrounds.offer(choices);
  if (!status) return;
  settings.offer(choices, status);
  welcome.show(status, choices);
}

async function watch() {
  for (;;) {
    await pause(WATCH);
    if (there && welcome.open && !document.hidden) await offer();
  }
}

/** @type {HTMLElement | null} what had the focus when the program went */
let focused = null;

function arrived() {
  const again = status !== null;
  there = true;
  byId("main").hidden = byId("foot").hidden = false;
  byId("closed").hidden = true;
  byId("lost").hidden = true;
  idle(false);
  preview.open();
  if (!again) return;
  announce("vbgcam is there again");
  if (document.activeElement === document.body && focused?.isConnected) focused.focus();
}

function lost() {
  for (const check of [...waiting]) check();
  if (there === false) return;
  there = false;
  focused = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  byId("main").hidden = false;
  byId("closed").hidden = true;
  byId("lost").hidden = false;
  byId("waiting").hidden = true;
  byId("plain").hidden = true;
  idle(true);
  preview.close();
  byId("lamp").className = "lamp off";
  write(byId("lamp-word"), "Not running");
  document.title = "Not running – VBG Camera";
  write(byId("sentence"), "vbgcam is not running.");
  write(byId("sentence-note"), "Others do not see you.");
  announce("vbgcam is not running. This page goes on by itself when it is there again.");
}

/** Without the program nothing can be chosen. @param {boolean} on */
function idle(on) {
  for (const id of ["settings", "welcome", "foot"]) byId(id).inert = on;
  for (const part of document.querySelectorAll(".bar .actions, .figures, .readers, .notices, #helped")) if (part instanceof HTMLElement) part.inert = on;
}

/** @param {Error} why */
function shut(why) {
  there = false;
  preview.close();
  byId("main").hidden = byId("foot").hidden = true;
  byId("closed").hidden = false;
  write(byId("closed-why"), why.message === "code" ? "This link was used before, or is older than a minute" : why.message === "token" ? "The key of this page counts no more" : "This page has no key yet");
  document.title = "VBG Camera";
}

/** Ends early where the tab comes to be seen. @param {number} milliseconds */
function rest(milliseconds) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(late);
      document.removeEventListener("visibilitychange", end);
      resolve(undefined);
    };
    const late = setTimeout(end, milliseconds);
    document.addEventListener("visibilitychange", end);
  });
}

/** @param {number} milliseconds */
function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// `vbgcam panel` while the panel is open in this tab: only the code behind the # is new.
addEventListener("hashchange", () => location.hash.length > 1 && location.reload());
byId("camera-card").addEventListener("pointerenter", offerSoon); // one may have been plugged in
byId("camera-card").addEventListener("focusin", offerSoon);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && there) offerSoon();
});
byId("see").addEventListener("click", () => status && figures.show(status, preview.watching));

byId("diagnosis").addEventListener("click", async () => {
  const button = byId("diagnosis");
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await copied(button, await api.report());
  } catch (error) {
    toast(error instanceof api.Refused ? error.message : "vbgcam does not answer.", "diagnosis");
  } finally {
    button.removeAttribute("aria-busy");
  }
});
byId("snapshot").addEventListener("click", async () => {
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await api.snapshot());
    link.download = "vbgcam.png";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), BEAT);
    settle("snapshot");
  } catch (error) {
    toast(error instanceof api.Refused ? error.message : "vbgcam does not answer.", "snapshot");
  }
});
byId("quit").addEventListener("click", async () => {
  if (await confirmed(byId("quit"), "Quit vbgcam? A call that reads the camera sees no picture any more.", "Quit", "Go on")) await act({ do: "quit" }, "quit");
});

async function begin() {
  for (;;) {
    try {
      await api.enter();
      break;
    } catch (error) {
      if (error instanceof api.NotAllowed) return shut(error);
      lost();
      await pause(RETRY);
    }
  }
  beat();
  watch();
  await follow();
}

begin();

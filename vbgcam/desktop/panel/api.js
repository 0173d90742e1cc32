// @ts-check
// The running program, as this page knows it: one token, a few addresses below /api/, and one socket for the preview.

/**
 * @typedef {{spec: string, name: string, label: string, kind: "picture" | "film", broken: string, removable: boolean}} Background
 * @typedef {{spec: string, label: string}} Named
 * @typedef {{spec: string, label: string, sizes: string[], now: boolean}} Camera
 * @typedef {{spec: string, label: string, cost: string, here: boolean, now: boolean}} Model
 * @typedef {{name: string, label: string, cost: string}} Preset
 * @typedef {{there: boolean, name: string, fix: string}} Virtual
 * @typedef {{backgrounds: Background[], blurs: Named[], colours: Named[], cameras: Camera[], models: Model[],
 *   presets: Preset[], virtual: Virtual}} Choices
 * @typedef {{at: number, what: string, fix: string, now: boolean}} Trouble
 * @typedef {{from: string, to: string, why: string, back: Record<string, string | number>}} Helped
 * @typedef {{p50: number | null, p95: number | null}} Spread  milliseconds
 * @typedef {{fps: number | null, mask_age_ms: number | null, added_latency_ms: number | null}} Live  of the last two seconds
 * @typedef {{source: string, size: string}} CameraSettings
 * @typedef {{show: string, fit: string, light_wrap: number}} BackgroundSettings
 * @typedef {{camera: CameraSettings, model: {name: string}, mask: Record<string, string | number>,
 *   background: BackgroundSettings, output: {mirror: boolean}}} Settings
 * @typedef {{state: string, why: string, room_shown: boolean, source: string, model: string, device: string, input: string, precision: string,
 *   source_format: string | null, source_size: string | null, source_fps: number | null, inference_ms: Spread | null,
 *   revision: number, pid: number, version: string, paused: boolean, watched: boolean, readers: string[],
 *   settings: Settings, troubles: Trouble[], config: {path: string, problems: string[]},
 *   loading: {model: string, done: number | null, total: number | null, host: string} | null, model_why: string, less: string, model_problem: string, helped: Helped | null, welcomed: boolean, live: Live}} Status
 * @typedef {Record<string, unknown> & {do: string}} Command
 */

const KEY = "vbgcam.token";

/** Bytes; a larger file is refused by the program too, but only after all of it was sent. */
const LARGEST = 256 * 1024 * 1024;

/** The program does not answer. */
export class Unreachable extends Error {}

/** It answers, but does not know this page's token. */
export class NotAllowed extends Error {}

/** It said no, in words for the person. */
export class Refused extends Error {}

/** @type {string | null} */
let token = null;

/** Takes the code from the address, where there is one, and gives it for a token; else the tab's own token from before
 * a reload. Raises NotAllowed where there is neither, Unreachable where nobody answers. */
export async function enter() {
  const code = location.hash.slice(1);
  token = kept();
  if (!code) {
    if (token === null) throw new NotAllowed("");
    return;
  }
  const answer = await reach("/api/enter", { method: "POST", body: JSON.stringify({ code }) });
  // It opens once: in the address or the history it would only mislead.
  history.replaceState(null, "", location.pathname);
  if (answer.ok) keep((await answer.json()).token);
  else if (token === null) throw new NotAllowed("code");
}

function kept() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** @param {string} found */
function keep(found) {
  token = found;
  try {
    sessionStorage.setItem(KEY, found);
  } catch {
    // a browser that keeps nothing: the page works until it is reloaded
  }
}

/** @param {string} path @param {RequestInit} [init] */
async function reach(path, init = {}) {
  try {
    return await fetch(path, { ...init, headers: headers(), cache: "no-store", redirect: "error" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Unreachable();
  }
}

/** @returns {Record<string, string>} */
function headers() {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

/** @param {number} status @param {string} text  what the answer held */
function refusal(status, text) {
  if (status === 401) return new NotAllowed("token");
  try {
    const { error, problems = [] } = JSON.parse(text);
    if (error) return new Refused([error, ...problems.filter((/** @type {string} */ line) => line !== error)].join("\n"));
  } catch {
    // no words in it
  }
  if (status === 413) return new Refused("The file is too large.");
  return new Refused(`vbgcam did not take it (${status}).`);
}

/** @param {string} path @param {RequestInit} [init] */
async function ask(path, init) {
  const answer = await reach(path, init);
  if (!answer.ok) throw refusal(answer.status, await answer.text().catch(() => ""));
  return answer;
}

/** The status, at once; with `after` as soon as its revision is another than that, at the latest after 25 s.
 * @param {number} [after] @returns {Promise<Status>} */
export async function status(after) {
  // A machine that slept in between leaves a connection that never ends.
  const answer = await ask(after === undefined ? "/api/status" : `/api/status?after=${after}`, { signal: AbortSignal.timeout(40_000) });
  return answer.json();
}

/** @returns {Promise<Choices>} */
export async function choices() {
  return (await ask("/api/choices")).json();
}

/** @param {Command} command @returns {Promise<{said: string, revision: number}>} */
export async function send(command) {
  return (await ask("/api/do", { method: "POST", body: JSON.stringify(command) })).json();
}

/** @param {string} name */
export async function thumbnail(name) {
  return (await ask(`/api/gallery/${encodeURIComponent(name)}/thumbnail`)).blob();
}

/** @param {string} name */
export async function remove(name) {
  await ask(`/api/gallery/${encodeURIComponent(name)}`, { method: "DELETE" });
}

export async function snapshot() {
  return (await ask("/api/snapshot")).blob();
}

export async function report() {
  return (await ask("/api/report")).text();
}

/** With XMLHttpRequest, for fetch does not tell how much of it has been sent.
 * @param {File} file @param {string} name @param {(share: number) => void} progress
 * @returns {Promise<{name: string, spec: string}>} */
export function upload(file, name, progress) {
  if (file.size > LARGEST) return Promise.reject(new Refused(`${name} is larger than 256 MB: a shorter or smaller film is enough.`));
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/gallery?name=${encodeURIComponent(name)}`);
    for (const [header, value] of Object.entries(headers())) request.setRequestHeader(header, value);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
    request.onerror = () => reject(new Unreachable());
    request.onload = () => {
      if (request.status === 200) resolve(JSON.parse(request.responseText));
      else reject(refusal(request.status, request.responseText));
    };
    request.send(file);
  });
}

/** The preview's socket; nothing comes before the token went.
 * @param {number} width  pixels
 * @param {(image: Blob) => Promise<void>} draw
 * @param {() => void} ended */
export function preview(width, draw, ended) {
  const socket = new WebSocket(`ws://${location.host}/api/preview`);
  /** @param {Record<string, unknown>} message */
  const say = (message) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
  socket.onopen = () => {
    say({ token, width });
    if (document.hidden) say({ pause: true });
  };
  socket.onmessage = async ({ data }) => {
    if (!(data instanceof Blob)) return;
    await draw(data);
    // Only now the next one is sent: a slow page gets fewer pictures, never older ones.
    say({ got: true });
  };
  socket.onclose = ended;
  return { say, close: () => socket.close() };
}

// @ts-check
// Making and finding elements. Texts go in as text alone: names of files come from anywhere, and one may look like HTML.

/** @param {string} id @returns {any} */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found;
}

/** `data-` and `aria-` names and `role` become attributes, all others properties.
 * @param {string} tag @param {Record<string, unknown>} [properties] @param {(Node | string)[]} children @returns {any} */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (/^(data-|aria-|role$)/.test(name)) made.setAttribute(name, String(value));
    else Reflect.set(made, name, value);
  }
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {Record<string, string | number>} [attributes] */
export function drawn(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** One of index.html's symbols. @param {string} name */
export function icon(name) {
  const made = drawn("svg", { class: "icon", "aria-hidden": "true" });
  made.append(drawn("use", { href: `#i-${name}` }));
  return made;
}

/** Writes only what differs: a text that is written anew is read out anew, and loses a selection.
 * @param {Element} where @param {string} text */
export function write(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/** Brings a list's children in order, before those with data-stays. None that stands where it should is moved: a moved
 * element loses the focus.
 * @param {Element} list @param {Element[]} wanted */
export function arrange(list, wanted) {
  for (const child of [...list.children]) if (!wanted.includes(child) && !child.hasAttribute("data-stays")) child.remove();
  let place = list.firstElementChild;
  for (const one of wanted) {
    if (place === one) place = one.nextElementSibling;
    else list.insertBefore(one, place);
  }
}

let said = 0;

/** For who does not see the page: read out when the reader has time. @param {string} text */
export function announce(text) {
  const place = byId("said");
  // The same words twice in a row are read twice only where the text differs.
  said += 1;
  place.textContent = said % 2 ? text : `${text}\u00a0`;
}

/** What went wrong with something that the person did; stays until it is put away, or the same thing worked.
 * @param {string} text @param {string} [about]  later toasts about the same take its place */
export function toast(text, about = text) {
  settle(about);
  const close = element("button", { className: "button bare", "aria-label": "Put away" }, icon("cross"));
  const made = element("div", { className: "toast", "data-about": about }, icon("warn"), element("p", {}, text), close);
  close.onclick = () => made.remove();
  byId("toasts").append(made);
  announce(text);
}

/** @param {string} about */
export function settle(about) {
  for (const old of byId("toasts").children) if (old.dataset.about === about) old.remove();
}

/** A command for a terminal, and its button. @param {string} text */
export function command(text) {
  const copy = element("button", { className: "button bare copy", "aria-label": `Copy: ${text}` }, icon("copy"));
  copy.onclick = () => copied(copy, text);
  return element("div", { className: "command" }, element("code", {}, text), copy);
}

/** Into the clipboard; the button says so for two seconds. @param {HTMLElement} button @param {string} text */
export async function copied(button, text) {
  if (!(await copy(text))) {
    toast("This browser lets no page write into the clipboard.", "copy");
    return;
  }
  settle("copy");
  announce("Copied");
  const was = [...button.childNodes];
  if (button.dataset.copied) return;
  button.dataset.copied = "yes";
  button.replaceChildren(icon("check"), ...(button.classList.contains("bare") ? [] : ["Copied"]));
  setTimeout(() => {
    delete button.dataset.copied;
    button.replaceChildren(...was);
  }, 2000);
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // without the permission, or in a tab that lost the focus while the text was being made
    const place = element("textarea", { className: "unseen", value: text });
    document.body.append(place);
    place.select();
    const done = document.execCommand("copy");
    place.remove();
    return done;
  }
}

/** Asks before something that cannot be taken back.
 * @param {HTMLElement} near @param {string} question @param {string} yes @param {string} no */
export function confirmed(near, question, yes, no) {
  const box = byId("confirm");
  byId("confirm-text").textContent = question;
  byId("confirm-yes").textContent = yes;
  byId("confirm-no").textContent = no;
  return new Promise((resolve) => {
    const answers = new AbortController();
    const { signal } = answers;
    const end = (/** @type {boolean} */ sure) => {
      answers.abort();
      if (box.matches(":popover-open")) box.hidePopover();
      resolve(sure);
    };
    byId("confirm-yes").addEventListener("click", () => end(true), { signal });
    byId("confirm-no").addEventListener("click", () => end(false), { signal });
    // Escape and a press beside it close it by themselves.
    box.addEventListener("toggle", (/** @type {ToggleEvent} */ event) => event.newState === "closed" && end(false), { signal });
    box.showPopover();
    beside(box, near.getBoundingClientRect());
    byId("confirm-no").focus();
  });
}

/** @param {HTMLElement} box @param {DOMRect} near */
function beside(box, near) {
  const { width, height } = box.getBoundingClientRect();
  const left = Math.min(Math.max(8, near.right - width), innerWidth - width - 8);
  const below = near.bottom + 6;
  const top = below + height > innerHeight - 8 ? Math.max(8, near.top - height - 6) : below;
  box.style.left = `${left}px`;
  box.style.top = `${top}px`;
}

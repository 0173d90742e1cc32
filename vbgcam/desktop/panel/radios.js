// @ts-check
// One choice of several. Arrow keys move, Space and Enter choose: in a native radio group moving is choosing, and here each
// choice is seen by others at once, or fetches a network.

export class Radios {
  /** Every `[role=radio]` below `group` belongs to it, its value in data-value. What is chosen shows when the program's
   * status says so; until then the radio is busy.
   * @param {HTMLElement} group @param {(value: string, radio: HTMLElement) => Promise<unknown>} choose */
  constructor(group, choose) {
    this.group = group;
    this.choose = choose;
    /** @type {string | null} */
    this.value = null;
    group.addEventListener("click", (event) => {
      const radio = this.radioAt(event.target);
      if (radio) this.take(radio);
    });
    group.addEventListener("keydown", (event) => this.key(event));
    group.addEventListener("focusin", (event) => {
      const radio = this.radioAt(event.target);
      if (radio) this.stop(radio);
    });
  }

  /** Those that can be seen. */
  get all() {
    const radios = /** @type {NodeListOf<HTMLElement>} */ (this.group.querySelectorAll("[role=radio]"));
    return [...radios].filter((radio) => radio.offsetParent !== null);
  }

  /** @param {EventTarget | null} target @returns {HTMLElement | null} */
  radioAt(target) {
    return target instanceof Element ? target.closest("[role=radio]") : null;
  }

  /** After the radios or the value changed. @param {string | null} value */
  mark(value) {
    this.value = value;
    const all = this.all;
    for (const radio of all) radio.setAttribute("aria-checked", String(radio.dataset.value === value));
    const focused = all.find((radio) => radio === document.activeElement);
    const stop = focused ?? all.find((radio) => radio.dataset.value === value) ?? all[0];
    if (stop) this.stop(stop);
  }

  /** The one that Tab comes to; its remove button, if it has one, comes after it. @param {HTMLElement} stop */
  stop(stop) {
    for (const radio of this.all) {
      radio.tabIndex = radio === stop ? 0 : -1;
      const remove = radio.parentElement?.querySelector(".remove");
      if (remove instanceof HTMLElement) remove.tabIndex = radio.tabIndex;
    }
  }

  /** @param {HTMLElement} radio */
  async take(radio) {
    if (radio.getAttribute("aria-checked") === "true" || radio.getAttribute("aria-busy") === "true") return;
    radio.setAttribute("aria-busy", "true");
    try {
      await this.choose(radio.dataset.value ?? "", radio);
    } finally {
      radio.removeAttribute("aria-busy");
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const radio = this.radioAt(event.target);
    if (!radio || event.ctrlKey || event.altKey || event.metaKey) return;
    const all = this.all;
    const at = all.indexOf(radio);
    const next = {
      ArrowRight: all[(at + 1) % all.length],
      ArrowLeft: all[(at + all.length - 1) % all.length],
      ArrowDown: across(all, radio, 1),
      ArrowUp: across(all, radio, -1),
      Home: all[0],
      End: all[all.length - 1],
    }[event.key];
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
}

/** The nearest in the next row down (1) or up (-1), by their places on the page: rows have different widths.
 * @param {HTMLElement[]} all @param {HTMLElement} from @param {1 | -1} way */
function across(all, from, way) {
  const middle = (/** @type {HTMLElement} */ one) => {
    const { left, right, top, bottom } = one.getBoundingClientRect();
    return { x: (left + right) / 2, y: (top + bottom) / 2, half: (bottom - top) / 2 };
  };
  const here = middle(from);
  const rows = all.map((one) => ({ one, ...middle(one) })).filter(({ y }) => way * (y - here.y) > here.half);
  const nearest = Math.min(...rows.map(({ y }) => Math.abs(y - here.y)));
  const row = rows.filter(({ y, half }) => Math.abs(y - here.y) < nearest + half);
  row.sort((a, b) => Math.abs(a.x - here.x) - Math.abs(b.x - here.x));
  return row[0]?.one ?? all[(all.indexOf(from) + way + all.length) % all.length];
}

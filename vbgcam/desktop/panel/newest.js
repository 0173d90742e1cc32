// @ts-check
// Values on their way from a control to the program: of a slider at most one at a time, and only ever the newest.

/** Milliseconds: shorter than anybody sees, and about 12 commands a second while the slider moves. */
const GATHER = 80;

/** @template V */
export class Newest {
  /** @param {(value: V) => Promise<unknown>} send  ends when the program's status has the value, or it was refused */
  constructor(send) {
    this.send = send;
    /** @type {{value: V} | null} */
    this.waiting = null;
    this.busy = false;
  }

  /** @param {V} value */
  async push(value) {
    this.waiting = { value };
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.waiting) {
        await new Promise((resolve) => setTimeout(resolve, GATHER));
        const { value: newest } = this.waiting;
        this.waiting = null;
        await this.send(newest);
      }
    } finally {
      this.busy = false;
    }
  }
}

/** A range input that acts while it moves. What the status says goes into it only while nothing of it is on its way, so
 * that it does not jump under the finger.
 * @param {HTMLInputElement} input @param {HTMLOutputElement} output
 * @param {(value: number) => string} words
 * @param {(value: number) => Promise<unknown>} send */
export function slider(input, output, words, send) {
  const values = new Newest(send);
  const say = () => {
    const text = words(input.valueAsNumber);
    if (output.textContent !== text) output.textContent = text;
    input.setAttribute("aria-valuetext", text);
    const share = (input.valueAsNumber - Number(input.min)) / (Number(input.max) - Number(input.min));
    input.style.setProperty("--share", `${100 * share}%`);
  };
  input.addEventListener("input", () => {
    say();
    values.push(input.valueAsNumber);
  });
  say();
  return {
    /** @param {number} value */
    show(value) {
      if (values.busy) return;
      // A value from the settings file may lie outside of what the slider offers.
      if (value > Number(input.max)) input.max = String(value);
      if (value < Number(input.min)) input.min = String(value);
      if (input.valueAsNumber !== value) input.valueAsNumber = value;
      say();
    },
  };
}

/** A list to pick from. What is refused goes back.
 * @param {HTMLSelectElement} select @param {(value: string) => Promise<boolean>} send */
export function picker(select, send) {
  let kept = select.value;
  let busy = false;
  select.addEventListener("change", async () => {
    busy = true;
    const done = await send(select.value);
    busy = false;
    if (!done) select.value = kept;
  });
  return {
    /** @param {string} value */
    show(value) {
      kept = value;
      // Only where it differs: the list may be open.
      if (!busy && select.value !== value) select.value = value;
    },
  };
}

/** A colour input that acts while its colour is being chosen.
 * @param {HTMLInputElement} input @param {(value: string) => Promise<unknown>} send */
export function colour(input, send) {
  const values = new Newest(send);
  input.addEventListener("input", () => values.push(input.value.toLowerCase()));
}

// A blind rating: each picture was made with the model's mask or with the true one, and nobody is told which before the end.
"use strict";

const { key, model, pictures } = JSON.parse(document.getElementById("data").textContent);
const WORDS = ["disturbing", "poor", "fair", "good", "like a real room"];
const KINDS = ["model", "truth"];
const place = document.getElementById("place");
let state = load();
let others = [];

function load() {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function save() {
  try {
    localStorage.setItem(key, JSON.stringify(state));
  } catch {
    document.getElementById("trouble").textContent =
      "This browser does not keep the answers: do not close the page before you saved them as a file.";
  }
}

function shuffled(list) {
  for (let last = list.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [list[last], list[other]] = [list[other], list[last]];
  }
  return list;
}

// Tasks: [picture, kind] one at a time, or [picture, kind on the left, kind on the right].
function tasks(mode) {
  const all = pictures.map((_, index) => index);
  if (mode === "pairs") return shuffled(all).map((index) => [index, ...shuffled([0, 1])]);
  return shuffled(all.flatMap((index) => [[index, 0], [index, 1]]));
}

function asked() {
  return state.tasks.flatMap(([picture, ...kinds]) => kinds.map((kind) => ({ picture, kind })));
}

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("data-") || name.startsWith("aria-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

function begin() {
  const name = element("input", { type: "text", id: "name", autocomplete: "off" });
  const start = (mode) => () => {
    state = { mode, name: name.value.trim(), tasks: tasks(mode), answers: [] };
    save();
    show();
  };
  place.replaceChildren(
    element("h1", {}, "How natural does it look?"),
    element("p", {}, `You will see ${pictures.length} scenes, cut out in two ways. Give each picture 1 to 5: look at edges, ` +
      "hair and hands, and at what of the old room shines through."),
    element("p", { className: "soft" }, "Keys 1 to 5 rate, Backspace takes the last answer back. Each answer is kept at once: " +
      "you can close the page and go on later."),
    element("label", {}, "Your name, if you like ", name),
    element("div", { className: "marks" },
      element("button", { className: "go first", id: "singles", onclick: start("singles") }, "One at a time"),
      element("button", { className: "go", id: "pairs", onclick: start("pairs") }, "Side by side")),
  );
}

function ask() {
  const all = asked();
  const number = state.answers.length;
  const sides = state.mode === "pairs" ? 2 : 1;
  const first = number - (number % sides);
  const figures = all.slice(first, first + sides).map(({ picture, kind }, index) =>
    element("figure", { className: sides === 2 && first + index === number ? "now" : "" },
      element("img", { src: pictures[picture][kind], alt: `picture ${first + index + 1}` }),
      element("figcaption", {}, sides === 2 ? (first + index < number ? `rated ${state.answers[first + index]}` :
        first + index === number ? (index ? "now the right one" : "first the left one") : "") : "")));
  place.replaceChildren(
    element("p", { className: "soft", id: "count" }, `${number + 1} of ${all.length}`),
    element("progress", { max: all.length, value: number, "aria-label": "rated" }),
    element("div", { className: "pictures" }, ...figures),
    element("div", { className: "marks" }, ...WORDS.map((word, index) =>
      element("button", { className: "mark", "data-mark": index + 1, onclick: () => answer(index + 1) },
        element("b", {}, String(index + 1)), word))),
  );
}

function answer(mark) {
  state.answers.push(mark);
  save();
  show();
}

function figures(sets) {
  const marks = [[], []];
  for (const set of sets) for (const [kind, mark] of set) marks[kind].push(mark);
  return marks.map((list) => {
    const mean = list.reduce((sum, mark) => sum + mark, 0) / Math.max(1, list.length);
    const spread = list.reduce((sum, mark) => sum + (mark - mean) ** 2, 0) / Math.max(1, list.length - 1);
    return {
      count: list.length, mean, around: 1.96 * Math.sqrt(spread / Math.max(1, list.length)),
      histogram: [1, 2, 3, 4, 5].map((mark) => list.filter((one) => one === mark).length),
    };
  });
}

function own() {
  return asked().slice(0, state.answers.length).map(({ kind }, index) => [kind, state.answers[index]]);
}

function end() {
  const [ours, truth] = figures([own(), ...others.map((other) => other.marks)]);
  const most = Math.max(1, ...ours.histogram, ...truth.histogram);
  const words = (of) => `${of.mean.toFixed(2)} ± ${of.around.toFixed(2)} (${of.count} ratings)`;
  const bar = (count) => {
    const made = element("i", {}, element("span", {}, String(count)));
    made.style.height = `${(85 * count) / most}%`;
    return made;
  };
  const file = element("input", { type: "file", multiple: true, accept: ".json", id: "others", onchange: add });
  place.replaceChildren(
    element("h1", {}, "What you saw"),
    element("p", { id: "of-model" }, `With the masks of ${model}: `, element("b", {}, words(ours))),
    element("p", { id: "of-truth" }, "With the true masks: ", element("b", {}, words(truth))),
    element("p", { className: "soft" }, "Mean and its 95 % interval" +
      (others.length ? `; ${others.length + 1} raters together` : "")),
    element("div", { className: "histogram", role: "img", "aria-label": "how often each mark was given" },
      ...ours.histogram.map((count, index) => element("div", { className: "mark" }, bar(count), bar(truth.histogram[index])))),
    element("div", { className: "scale" }, ...WORDS.map((word, index) => element("span", {}, `${index + 1} ${word}`))),
    element("p", { className: "soft key" }, element("i", { className: "ours" }), "the model", element("i", { className: "other" }), "the truth"),
    element("div", { className: "marks" },
      element("button", { className: "go first", id: "save", onclick: download }, "Save as a file"),
      element("button", { className: "go", id: "again", onclick: again }, "Start again")),
    element("label", {}, "Add the files of other raters ", file),
  );
}

function download() {
  const content = { key, model, name: state.name, mode: state.mode, marks: own() };
  const link = element("a", { download: `rating${state.name ? `-${state.name}` : ""}.json` });
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  link.click();
  URL.revokeObjectURL(link.href);
}

async function add(event) {
  const trouble = document.getElementById("trouble");
  trouble.textContent = "";
  for (const file of event.target.files) {
    try {
      const content = JSON.parse(await file.text());
      const right = content.key === key && content.marks.every(([kind, mark]) => KINDS[kind] && mark >= 1 && mark <= 5);
      if (!right) throw new Error("another evaluation");
      others.push(content);
    } catch {
      trouble.textContent = `${file.name} holds no ratings of these pictures.`;
    }
  }
  end();
}

function again() {
  state = null;
  others = [];
  try {
    localStorage.removeItem(key);
  } catch {
    // It was not kept, either.
  }
  show();
}

function show() {
  if (!state) begin();
  else if (state.answers.length < asked().length) ask();
  else end();
}

document.addEventListener("keydown", (event) => {
  if (!state || event.ctrlKey || event.altKey || event.metaKey || state.answers.length >= asked().length) return;
  if (event.key >= "1" && event.key <= "5" && event.key.length === 1) answer(Number(event.key));
  else if (event.key === "Backspace" && state.answers.length) {
    event.preventDefault();
    state.answers.pop();
    save();
    show();
  }
});

show();

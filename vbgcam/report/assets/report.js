// Values under the pointer of a chart, and tables that are sorted by a click on a column's head.
"use strict";

for (const chart of document.querySelectorAll(".chart[data-values]")) {
  const { from, to, points, names } = JSON.parse(chart.dataset.values);
  const svg = chart.querySelector("svg");
  const line = chart.querySelector(".hover");
  const output = chart.querySelector("output");
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const width = svg.viewBox.baseVal.width;
    const x = ((event.clientX - box.left) / box.width) * width;
    const part = Math.min(1, Math.max(0, (x - from) / (to - from)));
    const point = points[Math.round(part * (points.length - 1))];
    const place = from + ((to - from) * points.indexOf(point)) / Math.max(1, points.length - 1);
    line.setAttribute("x1", place);
    line.setAttribute("x2", place);
    line.style.visibility = "visible";
    const values = names.map((name, index) => `${name} ${point[index + 2] === null ? "-" : point[index + 2]}`);
    output.textContent = `frame ${point[0]}, ${point[1].toFixed(2)} s: ${values.join(", ")}`;
  });
  svg.addEventListener("pointerleave", () => {
    line.style.visibility = "hidden";
    output.textContent = "";
  });
}

for (const table of document.querySelectorAll("table.sorted")) {
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const head = button.closest("th");
    const column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => {
      const text = row.cells[column].textContent;
      return column === 0 || Number.isNaN(parseFloat(text)) ? text : parseFloat(text);
    };
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [one, other] = [value(a), value(b)];
      return (one < other ? -1 : one > other ? 1 : 0) * (up ? 1 : -1);
    });
    table.tBodies[0].append(...rows);
  });
}

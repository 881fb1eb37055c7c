"use strict";
const root = document.documentElement;
root.classList.add("js");

function sortBy(table, index) {
  const head = table.tHead.rows[0].cells[index];
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = (row) => {
    const cell = row.cells[index];
    if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
    return cell.classList.contains("num") && index > 0 ? null : cell.textContent;
  };
  const compare = (a, b) => {
    const [one, two] = [key(a), key(b)];
    if (one === null || two === null) return (one === null) - (two === null);
    const order = typeof one === "number" ? one - two : one.localeCompare(two, "en", { numeric: true });
    return up ? order : -order;
  };
  const body = table.tBodies[0];
  body.append(...Array.from(body.rows).sort(compare));
}

for (const table of document.querySelectorAll("table.sortable")) {
  Array.from(table.tHead.rows[0].cells).forEach((cell, index) => {
    cell.tabIndex = 0;
    cell.addEventListener("click", () => sortBy(table, index));
    cell.addEventListener("keydown", (event) => {
      if (event.key === "Enter") sortBy(table, index);
    });
  });
}

const field = document.getElementById("filter");
if (field) {
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const sample of document.querySelectorAll(".sample")) {
      sample.hidden = !sample.textContent.toLowerCase().includes(wanted);
    }
  });
}

root.dataset.height = String(Math.ceil(root.getBoundingClientRect().height));

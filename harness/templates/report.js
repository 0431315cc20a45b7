"use strict";
// Sorting, filtering and hints. Without this script the page shows the same figures, in the order of the plan.

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  for (const header of table.tHead.rows[0].cells) {
    if (!header.hasAttribute("aria-sort")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const ascending = header.getAttribute("aria-sort") === "descending" ||
        (header.getAttribute("aria-sort") === "none" && !header.classList.contains("num"));
      for (const other of table.tHead.rows[0].cells) {
        if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      }
      header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(body, header.cellIndex, header.classList.contains("num"), ascending);
    });
  }
}

// Rows without a figure stay at the end in either order.
function sort(body, column, numbers, ascending) {
  const key = (row) => row.cells[column].dataset.key ?? "";
  const missing = (text) => text === "" || (numbers && Number.isNaN(Number(text)));
  const rows = [...body.rows];
  rows.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (missing(x) || missing(y)) return missing(x) - missing(y);
    const order = numbers ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
    return ascending ? order : -order;
  });
  body.append(...rows);
}

const filter = document.getElementById("filter");
if (filter) {
  const rows = [...document.getElementById("models").tBodies[0].rows];
  const shown = document.getElementById("shown");
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.cells[0].textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      count += !row.hidden;
    }
    shown.textContent = words.length ? `${count} of ${rows.length} models` : "";
  };
  filter.closest(".tools").hidden = rows.length < 2;
  filter.addEventListener("input", apply);
  apply();
}

// Shows the values of the mark under the pointer or finger at once; without this script the browser shows them after a delay.
const tip = document.getElementById("tip");
for (const title of document.querySelectorAll("svg .hint > title")) {
  title.parentNode.dataset.tip = title.textContent;
  title.remove();
}
const show = (event) => {
  const text = event.target.dataset?.tip;
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  const left = Math.min(event.clientX + 14, window.innerWidth - box.width - 8);
  const below = event.clientY + 18;
  const top = below + box.height > window.innerHeight ? event.clientY - box.height - 12 : below;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${Math.max(8, top)}px`;
};
document.addEventListener("pointermove", show);
document.addEventListener("pointerdown", show);
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

// A link to a run opens its section.
const reveal = () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
window.addEventListener("hashchange", reveal);
reveal();

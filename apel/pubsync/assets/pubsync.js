// Sorts, searches and filters the tables. Everything can be read without it.
"use strict";

function valueOf(row, column, kind) {
  const cell = row.cells[column];
  const value = cell.dataset.value === undefined ? cell.textContent : cell.dataset.value;
  return kind === "number" || /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}

function compare(one, other) {
  const numbers = typeof one === "number" && typeof other === "number";
  return numbers ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
}

function sortBy(table, heading, column) {
  const descending = heading.getAttribute("aria-sort") === "ascending";
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = table.tBodies[0];
  const keyed = Array.from(body.rows, row => [valueOf(row, column, heading.dataset.sort), row]);
  keyed.sort((one, other) => (descending ? -1 : 1) * compare(one[0], other[0]));
  body.append(...keyed.map(pair => pair[1]));
}

function makeSortable(table) {
  if (table.tBodies[0].rows.length < 2) return;
  Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sortBy(table, heading, column));
    heading.replaceChildren(button);
  });
}

function labelled(text, control) {
  const label = document.createElement("label");
  label.append(text + " ", control);
  return label;
}

function statusChoice(rows) {
  const choice = document.createElement("select");
  const present = new Set(rows.map(row => row.dataset.status));
  for (const status of ["all", "ERROR", "WARNING", "OK", "UNKNOWN"]) {
    if (status === "all" || present.has(status)) choice.add(new Option(status, status));
  }
  return choice;
}

function addTools(place) {
  const table = document.getElementById(place.dataset.table);
  const rows = Array.from(table.tBodies[0].rows);
  if (rows.length < 2) return;
  const texts = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));
  const search = document.createElement("input");
  search.type = "search";
  search.autocomplete = "off";
  const choice = statusChoice(rows);
  const told = document.createElement("span");
  told.setAttribute("role", "status");
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const fits = words.every(word => texts.get(row).includes(word));
      row.hidden = !(fits && (choice.value === "all" || row.dataset.status === choice.value));
      shown += row.hidden ? 0 : 1;
    }
    told.textContent = shown === rows.length ? rows.length + " rows" : shown + " of " + rows.length + " rows";
  }
  search.addEventListener("input", filter);
  choice.addEventListener("change", filter);
  place.append(labelled("Search", search));
  if (choice.options.length > 2) place.append(labelled("Status", choice));
  place.append(told);
  filter();
}

// A box that need not scroll is none: it isn't in the way of headings that stick, nor of the keyboard.
function fit() {
  for (const box of document.querySelectorAll(".scroll")) {
    box.classList.remove("fits");
    const fits = box.scrollWidth <= box.clientWidth;
    box.classList.toggle("fits", fits);
    if (fits) box.removeAttribute("tabindex");
    else box.tabIndex = 0;
  }
}

document.querySelectorAll("table").forEach(makeSortable);
document.querySelectorAll(".tools").forEach(addTools);
fit();
window.addEventListener("resize", fit);

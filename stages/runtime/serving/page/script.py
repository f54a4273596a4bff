"""The script of the page: asks the service what the form says, and shows the answer, its parts, or what is wrong.

A number goes out as it was typed, digit for digit; what is no JSON number goes as text, for the contract to judge.
"""

SCRIPT = r"""
"use strict";
const find = id => document.getElementById(id), form = find("form"), told = JSON.parse(find("told").textContent);
const inputs = told.columns.map((name, place) => find("f" + place));
const NUMBER = /^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?$/;
const NUMBERS = ["integer", "number", "money", "percent"];
let example = 0, asked = 0;

function make(tag, text, attributes) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  return element;
}
function literal(input) {
  const text = input.value, short = text.trim();
  if (!short) return "null";
  if (NUMBERS.includes(input.dataset.type) && NUMBER.test(short)) return short;
  return input.dataset.type === "boolean" ? short : JSON.stringify(text);
}
function body() {
  return "{" + inputs.map((input, place) => JSON.stringify(told.columns[place]) + ":" + literal(input)).join() + "}";
}
async function ask(path, text) {
  const headers = {"Content-Type": "application/json"}, key = find("key");
  if (key && key.value) headers.Authorization = "Bearer " + key.value;
  const answer = await fetch(path, {method: "POST", headers, body: text});
  return {status: answer.status, ok: answer.ok, ...await answer.json()};
}
function round(value) {
  if (Math.abs(value) >= 1e4) return Math.round(value).toLocaleString("en");
  return value && Math.abs(value) < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
}
function signed(value) {
  return (value > 0 ? "+" : "") + round(value);
}

function clear() {
  find("faults").hidden = true;
  find("problems").replaceChildren();
  inputs.forEach((input, place) => {
    input.removeAttribute("aria-invalid");
    find("e" + place).textContent = "";
  });
}
function mark(column, text) {
  const place = told.columns.indexOf(column), item = make("li");
  if (place < 0) item.textContent = (column ? column + ": " : "") + text;
  else {
    const said = find("e" + place);
    inputs[place].setAttribute("aria-invalid", "true");
    said.textContent += (said.textContent ? "; " : "") + text;
    item.append(make("a", column + ": " + text, {href: "#f" + place}));
  }
  return item;
}
function showFaults(faults) {
  for (const {column, message} of faults) {
    const columns = told.involved[column] ?? (column || "").split(" x ").filter(name => told.columns.includes(name));
    const items = columns.length ? columns.map(name => mark(name, message)) : [mark(column, message)];
    find("problems").append(...items);
  }
  find("count").textContent = faults.length === 1 ? "One thing is wrong" : faults.length + " things are wrong";
  find("faults").hidden = false;
  find("faults").focus();
}

function barRow(name, shown, value, low, high) {
  const row = make("tr"), cell = make("td", undefined, {class: "bar", "aria-hidden": "true"});
  const track = make("div", undefined, {class: "track"});
  const fill = make("div", undefined, {class: value < 0 ? "fill down" : "fill"});
  const span = high - low || 1, left = Math.min(value, 0) - low;
  fill.style.left = 100 * left / span + "%";
  fill.style.width = 100 * Math.abs(value) / span + "%";
  if (value) track.append(fill);
  cell.append(track);
  row.append(make("th", name, {scope: "row"}), make("td", shown, {class: "number"}), cell);
  return row;
}
function bars(caption, rows, low, high, format) {
  const table = make("table");
  table.append(make("caption", caption));
  for (const [name, value] of rows) table.append(barRow(name, format(value), value, low, high));
  return table;
}
function showAnswer(answer) {
  const shown = [make("p", told.target, {class: "small"})];
  shown.push(make("p", typeof answer.prediction === "number" ? round(answer.prediction) : answer.prediction,
    {class: "big", id: "prediction"}));
  if (answer.interval) {
    const within = "between " + round(answer.interval[0]) + " and " + round(answer.interval[1]);
    shown.push(make("p", within, {class: "small"}));
  }
  if (answer.probabilities) {
    const rows = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
    shown.push(bars("Probabilities", rows, 0, 1, round));
  }
  shown.push(make("p", "Version " + answer.version + ", request " + answer.request_id, {class: "small"}));
  find("result").replaceChildren(...shown);
}
function showParts(answer) {
  const byClass = told.task === "multiclass", parts = find("parts");
  const show = label => {
    const columns = byClass ? answer.contributions[label] : answer.contributions;
    const base = byClass ? answer.base[label] : answer.base;
    const rows = Object.entries(columns).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
    const values = rows.map(row => row[1]), low = Math.min(0, ...values), high = Math.max(0, ...values);
    const caption = "What each column adds to the base, " + round(base) + (byClass ? ", of " + label : told.scale);
    return bars(caption, rows, low, high, signed);
  };
  parts.replaceChildren(show(answer.prediction));
  if (!byClass) return;
  const choice = make("select", undefined, {"aria-label": "Class to explain"});
  for (const label of Object.keys(answer.contributions)) choice.append(make("option", label));
  choice.value = answer.prediction;
  choice.addEventListener("change", () => parts.lastElementChild.replaceWith(show(choice.value)));
  parts.prepend(choice);
}

async function submit(event) {
  event.preventDefault();
  clear();
  const unfinished = inputs.flatMap((input, place) => input.validity.badInput ? [place] : []);
  if (unfinished.length) {
    return showFaults(unfinished.map(place => ({column: told.columns[place], message: "is not complete"})));
  }
  const text = body(), turn = ++asked;
  find("parts").replaceChildren();
  try {
    const answer = await ask("predict", text);
    if (turn !== asked) return;
    if (!answer.ok) {
      find("result").replaceChildren(make("p", "No answer: see what is wrong.", {class: "small"}));
      return showFaults(answer.violations ?? [answer]);
    }
    showAnswer(answer);
    const parts = await ask("explain", text);
    if (turn === asked && parts.ok) showParts(parts);
    if (matchMedia("(max-width:52rem)").matches) find("answer").scrollIntoView();
  } catch (error) {
    find("result").replaceChildren(make("p", "The service cannot be reached.", {class: "small"}));
    showFaults([{message: "The service cannot be reached, or its answer is not complete."}]);
  }
}
function fill(values) {
  inputs.forEach((input, place) => { input.value = values[place]; });
  clear();
}
form.addEventListener("submit", submit);
find("problems").addEventListener("click", event => {
  const link = event.target.closest("a");
  if (!link) return;
  event.preventDefault();
  document.querySelector(link.getAttribute("href")).focus();
});
find("clear").addEventListener("click", () => { fill(told.columns.map(() => "")); inputs[0].focus(); });
find("next")?.addEventListener("click", () => {
  example = (example + 1) % told.examples.length;
  fill(told.examples[example]);
});
"""

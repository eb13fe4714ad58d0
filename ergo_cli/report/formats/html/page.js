"use strict";
// What a page can do beyond its plain HTML. Texts of bundles become text nodes alone, never markup.

const PAGE_LENGTH = 100;
const number = new Intl.NumberFormat("en-US");

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, text);
}

// ---- The theme, and buttons that copy

function addThemeButton() {
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const toggle = button("", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    name();
  });
  const name = () => { toggle.textContent = dark() ? "light theme" : "dark theme"; };
  name();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  document.getElementById("top").append(toggle);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // a file from disk may not be trusted with the clipboard
    const field = element("textarea", { readonly: true, class: "unseen" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

function copyButton(what, text) {
  const made = button("copy", async () => {
    const done = await copied(text());
    made.textContent = done ? "copied" : "not copied";
    setTimeout(() => { made.textContent = "copy"; }, 2000);
  }, { "aria-live": "polite" });
  made.append(element("span", { class: "unseen" }, ` ${what}`));
  return made;
}

function addCopyButtons() {
  for (const code of document.querySelectorAll(".copied")) {
    const purpose = code.closest("div").querySelector("dt").textContent;
    code.after(copyButton(`the command: ${purpose}`, () => code.textContent));
  }
}

// ---- The data

async function read(template) {
  const text = template.content.textContent.trim();
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const lines = (await new Response(stream).text()).trimEnd().split("\n");
  const [head, ...entries] = lines.map((line) => JSON.parse(line));
  entries.forEach((entry) => {
    entry.text = [entry.event, entry.node, entry.path, ...entry.facts].join("\n").toLowerCase();
  });
  return { ...head, entries };
}

// ---- One divergence

const SIGNS = { "-": "is-was", "+": "is-now", "~": "is-both" };

function factLine(fact, sides) {
  const sign = fact[0];
  const spoken = { "-": `only ${sides[0]}: `, "+": `only ${sides[1]}: `, "~": "changed: " }[sign];
  if (!spoken) return element("code", {}, fact);
  return element("span", { class: `fact ${SIGNS[sign]}` },
    element("span", { class: "sign", "aria-hidden": "true" }, sign),
    element("span", { class: "unseen" }, spoken),
    element("code", {}, fact.slice(2)));
}

function sidesTable(entry, data) {
  const sides = data.sides;
  const cell = (text, spoken) => element("td", {},
    ...(text === null ? [] : [...(spoken ? [element("span", { class: "unseen" }, `${spoken}: `)] : []), element("code", {}, text)]));
  const rows = entry.sides.map(([mark, left, right]) => element("tr", { class: `is-${mark}` },
    cell(left, mark === "removed" ? `only ${sides[0]}` : mark === "changed" ? mark : ""),
    cell(right, mark === "added" ? `only ${sides[1]}` : mark === "changed" ? mark : "")));
  const heads = sides.map((side) => element("th", { scope: "col" }, side));
  const table = element("table", { class: "sides" }, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
  const label = `Both sides: ${data.bundles[entry.bundle]}, ${placeName(entry)}, ${entry.path}`;
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
}

function pairs(entry) {
  const found = [
    ["where", entry.path], ["kind", entry.kind.replaceAll("_", " ")], ["level", entry.level], ["part", entry.node],
    ["first that differs", entry.origin], ["place", entry.place], ["cause", entry.cause.replaceAll("_", " ")],
    ["because", entry.because], ["memory", entry.memory || []],
    ["state before", (entry.before || []).map(([path, value]) => `${path} = ${value}`)],
  ];
  const list = element("dl", { class: "pairs" });
  for (const [name, value] of found) {
    const lines = [value].flat().filter(Boolean);
    if (lines.length) list.append(element("dt", {}, name), element("dd", {}, ...lines.map((line) => element("code", { class: "line" }, line))));
  }
  return list;
}

function linkTo(entry, data) {
  const of = data.bundles.length > 1 ? `bundle=${entry.bundle}&` : "";
  return `#${of}decision=${entry.seq}`;
}

function body(entry, data) {
  const link = linkTo(entry, data);
  return element("div", { class: "body" },
    ...(entry.sides.length ? [sidesTable(entry, data)] : []),
    pairs(entry),
    element("div", { class: "buttons" },
      element("a", { href: link }, `link to ${placeName(entry)}`),
      copyButton("the divergence as text", () => [placeName(entry), entry.event || "", ...entry.facts, ...entry.because].filter(Boolean).join("\n"))));
}

function placeName(entry) {
  return entry.event === null ? "the end" : `decision ${number.format(entry.seq)}`;
}

function listItem(entry, data) {
  const event = entry.event === null ? "" : entry.event + (entry.occurrence ? ` (again, ${entry.occurrence} before it)` : "");
  const notes = [entry.level === "decision" ? "" : entry.level, entry.is_expected ? "expected" : ""].filter(Boolean);
  const summary = element("summary", {},
    element("span", { class: "at" }, placeName(entry)),
    element("code", {}, data.bundles.length > 1 ? `${event} ${data.bundles[entry.bundle]}` : event),
    element("span", { class: "fact" }, ...entry.facts.map((fact) => factLine(fact, data.sides))),
    element("span", {}, ...notes.map((note) => element("span", { class: "note" }, note))));
  const details = element("details", {}, summary);
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(body(entry, data));
  });
  return element("li", {}, details);
}

// ---- The list with its filters

class Explorer {
  constructor(data, section) {
    this.data = data;
    this.page = 0;
    this.range = [null, null];
    this.list = element("ol", { class: "list", "aria-label": "Divergences" });
    this.status = element("span", { role: "status" });
    this.earlier = button("earlier", () => this.turn(-1));
    this.later = button("later", () => this.turn(1));
    this.stream = new Stream(this);
    section.append(this.stream.root, this.filters(), this.list,
      element("div", { class: "pages" }, this.earlier, this.later, this.status));
    section.hidden = false;
    this.bundleChanged();
    this.open(location.hash);
    addEventListener("hashchange", () => this.open(location.hash));
  }

  filters() {
    const again = () => { this.page = 0; this.show(); };
    this.search = element("input", { type: "search", oninput: again });
    this.from = element("input", { type: "number", min: "0", oninput: () => this.rangeTyped() });
    this.until = element("input", { type: "number", min: "0", oninput: () => this.rangeTyped() });
    this.choices = [];
    const choice = (name, of, text, changed = again) => {
      const values = [...new Set(this.data.entries.map(of))].filter((value) => value !== "");
      const select = element("select", { onchange: changed }, element("option", { value: "" }, "all"),
        ...values.map((value) => element("option", { value: String(value) }, text(value))));
      this.choices.push([select, of]);
      return values.length > 1 ? [element("label", {}, name, select)] : [];
    };
    const plain = (value) => String(value).replaceAll("_", " ");
    return element("div", { class: "filters", role: "search", "aria-label": "Filters" },
      element("label", {}, "text", this.search),
      ...choice("bundle", (each) => each.bundle, (value) => this.data.bundles[value], () => { this.bundleChanged(); again(); }),
      ...choice("kind", (each) => each.kind, plain),
      ...choice("level", (each) => each.level, plain),
      ...choice("part", (each) => each.node, String),
      element("label", { class: "range" }, "from decision", this.from),
      element("label", { class: "range" }, "until decision", this.until),
      button("all", () => { this.clear(); this.show(); }));
  }

  clear() {
    this.search.value = "";
    this.choices.forEach(([select]) => { select.value = ""; });
    this.page = 0;
    this.setRange(null, null);
    this.bundleChanged();
  }

  setRange(from, until) {
    this.range = [from, until];
    this.from.value = from ?? "";
    this.until.value = until ?? "";
    this.stream.mark(from, until);
  }

  rangeTyped() {
    const typed = (field) => (field.value === "" ? null : field.valueAsNumber);
    this.range = [typed(this.from), typed(this.until)];
    this.stream.mark(...this.range);
    this.page = 0;
    this.show();
  }

  select(from, until) {
    this.setRange(from, until);
    this.page = 0;
    this.show();
  }

  bundleChanged() {
    const chosen = this.choices[0][0].value;
    const streams = this.data.streams;
    this.stream.show(chosen === "" ? streams[0] : streams.find((each) => String(each.bundle) === chosen));
    this.stream.mark(...this.range);
  }

  matching() {
    const wanted = this.search.value.toLowerCase();
    const chosen = this.choices.filter(([select]) => select.value !== "");
    const [from, until] = this.range;
    return this.data.entries.filter((entry) =>
      (from === null || entry.seq >= from) && (until === null || entry.seq <= until)
      && chosen.every(([select, of]) => String(of(entry)) === select.value)
      && entry.text.includes(wanted));
  }

  turn(by) {
    this.page += by;
    this.show();
    this.list.scrollIntoView({ block: "nearest" });
  }

  show() {
    const found = this.matching();
    const start = this.page * PAGE_LENGTH;
    const shown = found.slice(start, start + PAGE_LENGTH);
    this.list.replaceChildren(...shown.map((entry) => listItem(entry, this.data)));
    this.earlier.disabled = start === 0;
    this.later.disabled = start + PAGE_LENGTH >= found.length;
    const end = start + shown.length;
    this.status.textContent = found.length
      ? `${number.format(start + 1)} to ${number.format(end)} of ${number.format(found.length)}`
      : "no divergence is as the filters say";
    return found;
  }

  open(hash) {
    const asked = new URLSearchParams(hash.slice(1));
    this.clear();
    const found = this.show();
    if (!/^\d+$/.test(asked.get("decision") ?? "")) return;
    const decision = Number(asked.get("decision"));
    const bundle = Number(asked.get("bundle") ?? 0);
    const place = found.findIndex((entry) => entry.seq === decision && entry.bundle === bundle);
    if (place < 0) {
      this.status.textContent = `decision ${number.format(decision)} does not differ, or is not in this report`;
      this.status.scrollIntoView({ block: "center" });
      return;
    }
    this.page = Math.floor(place / PAGE_LENGTH);
    this.show();
    const summary = this.list.children[place % PAGE_LENGTH].querySelector("summary");
    summary.parentElement.open = true;
    summary.focus({ preventScroll: true });
    summary.scrollIntoView({ block: "start" });
  }
}

// ---- The stream: a cell a run of decisions, one of them in the order of tabs

class Stream {
  constructor(explorer) {
    this.explorer = explorer;
    this.cells = element("div", { class: "cells", role: "toolbar", "aria-label": "The stream: choose decisions" });
    this.about = element("p", { class: "about" });
    this.root = element("div", { class: "stream" }, this.cells, this.about);
    this.cells.addEventListener("keydown", (event) => this.key(event));
    this.buttons = [];
    this.anchor = null;
  }

  show(stream) {
    this.root.hidden = stream === undefined;
    if (stream === undefined) return;
    let pause = "";
    this.buttons = [];
    const parts = stream.cells.map((cell) => {
      if (cell.kind === "pause") {
        pause = `after a pause of ${cell.pause}, `;
        return element("span", { class: "is-pause", title: `a pause of ${cell.pause}`, "aria-hidden": "true" }, "‖");
      }
      const made = this.cell(cell, pause);
      pause = "";
      return made;
    });
    this.cells.replaceChildren(...parts);
    const bundle = this.explorer.data.bundles.length > 1 ? `${this.explorer.data.bundles[stream.bundle]}: ` : "";
    const [first, last] = [stream.cells.find((each) => each.kind !== "pause"), stream.cells.at(-1)];
    const when = first.begin === undefined ? "" : `, ${first.begin} to ${last.end}`;
    const paused = stream.cells.some((each) => each.kind === "pause") ? "; ‖ a pause" : "";
    this.summary = `${bundle}decisions ${number.format(first.first)} to ${number.format(last.last)}${when}. Each cell: how many together are equal, or differ (≠)${paused}`;
    this.about.textContent = this.summary;
  }

  cell(cell, pause) {
    const many = cell.last - cell.first + 1;
    const which = many === 1 ? `decision ${number.format(cell.first)}` : `decisions ${number.format(cell.first)} to ${number.format(cell.last)}`;
    const when = cell.begin === undefined ? "" : cell.begin === cell.end ? ` at ${cell.begin}` : ` from ${cell.begin} to ${cell.end}`;
    const what = cell.kind === "equal" ? "equal" : `${number.format(cell.differing)} of ${number.format(many)} differ`;
    const label = `${pause}${which}${when}: ${what}`;
    const made = button((cell.kind === "equal" ? "" : "≠ ") + number.format(many), (event) => this.choose(made, event.shiftKey), {
      class: `is-${cell.kind}`, "aria-label": label, "aria-pressed": "false", title: label, tabindex: this.buttons.length ? "-1" : "0",
      onfocus: () => { this.about.textContent = label; }, onblur: () => { this.about.textContent = this.summary; },
    });
    made.style.flexGrow = String(1 + Math.log2(many));
    made.range = [cell.first, cell.last];
    this.buttons.push(made);
    return made;
  }

  choose(cell, extends_) {
    this.anchor = extends_ && this.anchor ? this.anchor : cell;
    const ends = [...this.anchor.range, ...cell.range];
    this.explorer.select(Math.min(...ends), Math.max(...ends));
  }

  key(event) {
    const at = this.buttons.indexOf(document.activeElement);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: this.buttons.length - 1 }[event.key];
    if (event.key === "Escape") this.explorer.select(null, null);
    if (at < 0 || to === undefined || !this.buttons[to]) return;
    event.preventDefault();
    this.buttons[at].tabIndex = -1;
    this.buttons[to].tabIndex = 0;
    this.buttons[to].focus();
    if (event.shiftKey) {
      this.anchor = this.anchor ?? this.buttons[at];
      this.choose(this.buttons[to], true);
    }
  }

  mark(from, until) {
    for (const each of this.buttons) {
      const [first, last] = each.range;
      const is = (from !== null || until !== null) && (from === null || last >= from) && (until === null || first <= until);
      each.setAttribute("aria-pressed", String(is));
    }
    if (from === null && until === null) this.anchor = null;
  }
}

function showWhatDiffers() {
  const drawing = document.querySelector(".drawing");
  const box = drawing?.querySelector(".is-change rect") ?? drawing?.querySelector(".is-differs rect");
  if (box) drawing.scrollLeft = box.x.baseVal.value + box.width.baseVal.value / 2 - drawing.clientWidth / 2;
}

addThemeButton();
addCopyButtons();
showWhatDiffers();
const template = document.getElementById("data");
if (template && "DecompressionStream" in globalThis) {
  read(template).then((data) => new Explorer(data, document.getElementById("explore")));
}

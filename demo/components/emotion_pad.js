// Everything inside `element` is drawn here from `props`; the template never changes, so Gradio leaves the nodes alone.
// Listeners stand on `element` itself.
const SVG = "http://www.w3.org/2000/svg";
const REACH = 46; // percent of the pad from its centre to the value 1
const STEP = 0.05, LEAP = 0.2; // of an arrow key, without and with Shift
const NEAR_PX = { mouse: 12, pen: 16, touch: 22 }; // a click that close to an emotion means it
const UNDER = 0.12; // an emotion that close to the dot is covered by it, and its name makes way
const STILL_PX = 4; // a pointer that moved less was a click
const EVERY_MS = 80; // "input" while dragging
const REST_MS = 250; // after the last key, "release"

const find = (selector) => element.querySelector(selector);
const pad = find(".pad"), handle = find(".handle"), lines = find(".lines"), readout = find(".readout");
const clamp = (x) => Math.min(1, Math.max(-1, x));
const round = (x) => Math.round(x * 100) / 100 + 0;
const left = (valence) => 50 + REACH * valence + "%";
const top = (arousal) => 50 - REACH * arousal + "%";
const shown = (x) => x.toFixed(2).replace("-", "\u2212");

let drag = null; // { x, y, moved, anchor } of the pointer that is down
let inputAt = 0, inputTimer = 0, releaseTimer = 0;

function point() {
  const value = props.value;
  const number = (x) => (Number.isFinite(x) ? clamp(x) : 0);
  return value && typeof value === "object"
    ? { arousal: number(value.arousal), valence: number(value.valence) }
    : { arousal: 0, valence: 0 };
}

function farFrom(anchor, { arousal, valence } = point()) {
  return Math.hypot(anchor.arousal - arousal, anchor.valence - valence);
}

function nearest(place) {
  return given("anchors").reduce((best, a) => (farFrom(a, place) < farFrom(best, place) ? a : best));
}

// --- colours: a smooth field in which every emotion colours its surroundings

const linear = (byte) => Math.pow(byte / 255, 2.2);
const PALETTE = given("anchors").map((a) => ({
  ...a,
  rgb: [1, 3, 5].map((i) => linear(parseInt(a.colour.slice(i, i + 2), 16))),
}));

function colourAt(arousal, valence) {
  let sum = 0, grey = 0;
  const rgb = [0, 0, 0];
  for (const a of PALETTE) {
    const squared = (a.arousal - arousal) ** 2 + (a.valence - valence) ** 2;
    const weight = Math.exp(-squared / 0.07) + 1e-3 / (squared + 0.03);
    sum += weight;
    if (a.name === "neutral") grey = weight;
    for (let i = 0; i < 3; i++) rgb[i] += weight * a.rgb[i];
  }
  return { rgb: rgb.map((x) => Math.round(255 * Math.pow(x / sum, 1 / 2.2))), strength: 1 - grey / sum };
}

function paintField() {
  const canvas = find(".field"), context = canvas.getContext("2d"), size = canvas.width;
  const image = context.createImageData(size, size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const place = (i) => ((i + 0.5) / size - 0.5) * (100 / REACH);
      const { rgb, strength } = colourAt(-place(row), place(column));
      image.data.set([...rgb, Math.round(255 * strength)], 4 * (row * size + column));
    }
  }
  context.putImageData(image, 0, 0);
}

// --- drawing

function shape(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.appendChild(node);
  return node;
}

function drawAnchors() {
  const parent = find(".anchors");
  for (const anchor of given("anchors")) {
    const button = document.createElement("button");
    const name = document.createElement("span");
    button.type = "button";
    button.className = "anchor";
    button.dataset.name = anchor.name;
    button.style.cssText = "left:" + left(anchor.valence) + ";top:" + top(anchor.arousal);
    button.style.setProperty("--colour", anchor.colour);
    name.className = { left: "left-of", right: "right-of" }[anchor.side] || anchor.side;
    name.textContent = anchor.name;
    button.appendChild(name);
    parent.appendChild(button);
  }
}

function drawLines() {
  lines.replaceChildren();
  for (const at of [-1, -0.5, 0, 0.5, 1]) {
    const kind = at === 0 ? "zero" : "grid";
    shape("line", { x1: -1, x2: 1, y1: at, y2: at, class: kind }, lines);
    shape("line", { y1: -1, y2: 1, x1: at, x2: at, class: kind }, lines);
  }
  const path = given("path") || [];
  if (path.length > 1) {
    const points = path.map(([valence, arousal]) => valence + "," + -arousal).join(" ");
    shape("polyline", { points, class: "path-back" }, lines);
    shape("polyline", { points, class: "path" }, lines);
  }
  for (const mark of given("marks") || []) {
    if (!mark.std) continue;
    shape("ellipse", { cx: mark.valence, cy: -mark.arousal, rx: mark.std[1], ry: mark.std[0], class: "spread" }, lines);
  }
  if (given("interactive")) {
    shape("line", { class: "guide across" }, lines);
    shape("line", { class: "guide up" }, lines);
  }
}

function glyph(mark) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 22 22");
  svg.setAttribute("class", "glyph");
  const { rgb } = colourAt(mark.arousal, mark.valence);
  svg.style.setProperty("--colour", "rgb(" + rgb.join(" ") + ")");
  const circle = (r, kind) => shape("circle", { cx: 11, cy: 11, r, class: kind }, svg);
  if (mark.kind === "asked") { circle(8.5, "back"); circle(8.5, "line"); }
  if (mark.kind === "heard") { circle(6.5, "full"); circle(3.2, "core"); }
  if (mark.kind === "before") { circle(6.5, "hollow"); circle(6.5, "line dashed"); }
  if (mark.kind === "result") {
    shape("path", { d: "M11 3 L19 11 L11 19 L3 11 Z", class: "full" }, svg);
    shape("path", { d: "M11 7 L15 11 L11 15 L7 11 Z", class: "core" }, svg);
  }
  return svg;
}

// Show which way a path goes, in the middle of its last line.
function drawArrow(parent) {
  const [from, to] = (given("path") || []).slice(-2);
  if (!to) return;
  const node = document.createElement("div"), svg = document.createElementNS(SVG, "svg");
  const degrees = (Math.atan2(from[1] - to[1], to[0] - from[0]) * 180) / Math.PI;
  node.className = "mark arrow";
  node.style.cssText = "left:" + left((from[0] + to[0]) / 2) + ";top:" + top((from[1] + to[1]) / 2);
  svg.setAttribute("viewBox", "0 0 22 22");
  svg.setAttribute("class", "glyph");
  shape("path", { d: "M6 5 L17 11 L6 17 Z", class: "full", transform: "rotate(" + degrees + " 11 11)" }, svg);
  node.appendChild(svg);
  parent.appendChild(node);
}

function drawMarks() {
  const marks = given("marks") || [];
  const parent = find(".marks"), legend = find(".legend");
  parent.replaceChildren();
  legend.replaceChildren();
  drawArrow(parent);
  const listed = new Set();
  for (const mark of marks) {
    const node = document.createElement("div");
    const words = (mark.text || mark.kind) + ": arousal " + mark.arousal.toFixed(2) + ", valence " + mark.valence.toFixed(2);
    node.className = "mark";
    node.dataset.kind = mark.kind;
    node.style.cssText = "left:" + left(mark.valence) + ";top:" + top(mark.arousal);
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", words);
    node.appendChild(glyph(mark));
    parent.appendChild(node);
    const name = mark.text || mark.kind;
    if (listed.has(mark.kind + name)) continue;
    listed.add(mark.kind + name);
    const item = document.createElement("li");
    item.appendChild(glyph(mark));
    item.append(name);
    legend.appendChild(item);
  }
}

function drawDot() {
  const { arousal, valence } = point();
  const near = nearest({ arousal, valence });
  const live = Boolean(given("interactive"));
  pad.classList.toggle("live", live);
  handle.hidden = !live;
  handle.style.left = left(valence);
  handle.style.top = top(arousal);
  handle.style.setProperty("--here", "rgb(" + colourAt(arousal, valence).rgb.join(" ") + ")");
  handle.setAttribute("aria-label", given("label") || "Emotion");
  handle.setAttribute("aria-valuenow", valence.toFixed(2));
  handle.setAttribute(
    "aria-valuetext",
    "arousal " + arousal.toFixed(2) + ", valence " + valence.toFixed(2) + ", near " + near.name,
  );
  const across = lines.querySelector(".across"), up = lines.querySelector(".up");
  if (across) {
    for (const [key, value] of Object.entries({ x1: 0, x2: valence, y1: -arousal, y2: -arousal })) across.setAttribute(key, value);
    for (const [key, value] of Object.entries({ x1: valence, x2: valence, y1: 0, y2: -arousal })) up.setAttribute(key, value);
  }
  for (const button of find(".anchors").children) {
    button.classList.toggle("near", live && button.dataset.name === near.name);
    button.classList.toggle("under", live && button.dataset.name === near.name && farFrom(near) < UNDER);
    button.disabled = !live;
    button.tabIndex = live && button.dataset.name === near.name ? 0 : -1;
  }
  readout.replaceChildren();
  if (!live) return;
  const strong = (text) => {
    const node = document.createElement("b");
    node.textContent = text;
    return node;
  };
  readout.append("arousal ", strong(shown(arousal)), " \u00b7 valence ", strong(shown(valence)), " \u00b7 near\u00a0", strong(near.name));
}

function drawAll() {
  drawLines();
  drawMarks();
  drawDot();
}

// --- changing the value

function tellInput() {
  inputAt = performance.now();
  trigger("input");
}

function moveTo(place) {
  props.value = { arousal: round(clamp(place.arousal)), valence: round(clamp(place.valence)) };
  drawDot();
}

function moveWhileDragging(place) {
  moveTo(place);
  clearTimeout(inputTimer);
  const wait = EVERY_MS - (performance.now() - inputAt);
  if (wait <= 0) tellInput();
  else inputTimer = setTimeout(tellInput, wait);
}

function release() {
  clearTimeout(inputTimer);
  clearTimeout(releaseTimer);
  trigger("release");
}

function moveByKey(place) {
  moveTo(place);
  clearTimeout(releaseTimer);
  releaseTimer = setTimeout(release, REST_MS);
}

function placeOf(event) {
  const box = pad.getBoundingClientRect();
  const unit = 100 / REACH;
  return {
    valence: ((event.clientX - box.left) / box.width - 0.5) * unit,
    arousal: (0.5 - (event.clientY - box.top) / box.height) * unit,
  };
}

function anchorAt(event) {
  const button = event.target.closest(".anchor");
  if (button) return given("anchors").find((a) => a.name === button.dataset.name);
  const box = pad.getBoundingClientRect();
  const place = placeOf(event), near = nearest(place);
  const pixels = (farFrom(near, place) * box.width * REACH) / 100;
  return pixels <= (NEAR_PX[event.pointerType] || NEAR_PX.mouse) ? near : null;
}

element.addEventListener("pointerdown", (event) => {
  if (!given("interactive") || event.button !== 0 || drag || !event.target.closest(".pad")) return;
  event.preventDefault();
  element.setPointerCapture(event.pointerId);
  drag = { id: event.pointerId, x: event.clientX, y: event.clientY, moved: false, anchor: anchorAt(event) };
  drag.fromDot = Boolean(event.target.closest(".handle"));
  pad.classList.add("dragging");
  handle.focus({ preventScroll: true });
  if (!drag.fromDot) moveWhileDragging(drag.anchor || placeOf(event));
});

element.addEventListener("pointermove", (event) => {
  if (!drag || event.pointerId !== drag.id) return;
  drag.moved = drag.moved || Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > STILL_PX;
  if (drag.moved) moveWhileDragging(placeOf(event));
});

for (const name of ["pointerup", "pointercancel"]) {
  element.addEventListener(name, (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    if (!drag.moved && drag.fromDot && drag.anchor) moveTo(drag.anchor);
    drag = null;
    pad.classList.remove("dragging");
    release();
  });
}

element.addEventListener("keydown", (event) => {
  if (!given("interactive") || event.ctrlKey || event.metaKey || event.altKey) return;
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const arrow = arrows[event.key], button = event.target.closest(".anchor");
  if (button && arrow) {
    const buttons = [...find(".anchors").children];
    const next = buttons.indexOf(button) + (arrow[0] - arrow[1]);
    buttons.at(next % buttons.length).focus();
  } else if (event.target === handle && arrow) {
    const { arousal, valence } = point(), step = event.shiftKey ? LEAP : STEP;
    moveByKey({ valence: valence + step * arrow[0], arousal: arousal + step * arrow[1] });
  } else if (event.target === handle && event.key === "Home") {
    moveByKey({ arousal: 0, valence: 0 });
  } else {
    return;
  }
  event.preventDefault();
});

element.addEventListener("click", (event) => {
  // By a pointer `detail` counts the clicks, and pointerdown has moved the dot; by Enter, space or a screen reader it is 0.
  if (given("interactive") && event.detail === 0 && event.target.closest(".anchor")) moveByKey(anchorAt(event));
});

// What Python sets; while a hand holds the dot, its place is the hand's.
watch(["value", "label"], () => { if (!drag) drawDot(); });
watch(["marks", "path", "interactive"], drawAll);

paintField();
drawAnchors();
drawAll();

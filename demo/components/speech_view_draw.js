// Lanes of the picture: numbers in, SVG elements out. Text enters by textContent alone.
const SVG = "http://www.w3.org/2000/svg";
const AXIS_WIDTH = 50, GAP = 12, TIME_HEIGHT = 20, STRIP = 22, WORD_HEIGHT = 22;
const MEL_TICKS = [0.5, 1, 2, 4, 8], F0_TICKS = [50, 75, 100, 125, 150, 200, 250, 300, 400, 500, 600], LEVEL_TICKS = [0, -20, -40, -60];
const DIMENSIONS = ["arousal", "valence", "dominance"];
const SPAN_COLOURS = { speech: "var(--sv-wave)", silence: "var(--sv-line)", other: "var(--sv-level)", overlap: "var(--sv-f0)" };
const TIME_STEPS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const LANES = [
  { key: "sounds", name: "sounds", height: WORD_HEIGHT + 36, has: (v) => v.tokens.length + v.words.length > 0 },
  { key: "waveform", name: "wave", height: 66, has: () => true },
  { key: "mel", name: "mel", unit: "kHz", height: 112, has: () => true },
  { key: "f0", name: "F0", unit: "Hz", height: 96, has: () => true },
  { key: "level", name: "level", unit: "dB", height: 60, has: () => true },
  { key: "feeling", name: "feeling", height: 118, has: (v) => v.feeling.asked.length + v.feeling.heard.length + v.labels.length > 0 },
  { key: "spans", name: "spans", height: STRIP, has: (v) => v.spans.length > 0 },
];

function svg(parent, name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}

function html(parent, name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}

function signedBytes(packed) {
  return new Int8Array(Uint8Array.from(atob(packed), (c) => c.charCodeAt(0)).buffer);
}

function textWidths(font) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = font;
  return (text) => context.measureText(text).width;
}

function soundOf(token) {
  return token === "<sil>" || !token.trim() ? "" : token;
}

// Place labels [text, x] from left to right in as few rows as fit, moved to the right by `slack` pixels at most; what fits in
// no row is left out.
function placed(labels, width, nRows, gap, slack) {
  const ends = new Array(nRows).fill(-Infinity);
  const found = [];
  for (const [text, x] of labels) {
    const half = width(text) / 2;
    const row = ends.findIndex((end) => x - half + slack >= end + gap);
    if (row < 0) continue;
    const at = Math.max(x, ends[row] + gap + half);
    ends[row] = at + half;
    found.push([text, at, row]);
  }
  return found;
}

// Pixels per second at which nearly all neighbours `distance` labels apart have room beside each other.
function neededScale(rows, width, distance) {
  const needs = [];
  for (let i = distance; i < rows.length; i++) {
    const [a, b] = [rows[i - distance], rows[i]];
    const apart = (b[1] + b[2] - a[1] - a[2]) / 2;
    needs.push(((width(a[0]) + width(b[0])) / 2 + 4) / apart);
  }
  needs.sort((a, b) => a - b);
  return needs.length ? needs[Math.floor(0.9 * (needs.length - 1))] : 0;
}

function readableScale(value, view) {
  const sounds = value.tokens.filter(([token]) => soundOf(token)), words = value.words.filter(([word]) => word);
  const need = Math.max(80, neededScale(sounds, view.soundWidth, 2), neededScale(words, view.wordWidth, 1));
  return Math.min(240, need);
}

function drawSounds(plot, lane, value, view) {
  const { top } = lane;
  const under = top + lane.height - 36;
  const words = value.words.map(([text, a, b]) => [text, view.x((a + b) / 2)]);
  const named = words.filter(([text]) => text);
  const shown = placed(named, view.wordWidth, 1, 5, 10);
  if (shown.length >= 0.6 * named.length)
    for (const [text, x] of shown) svg(plot, "text", { class: "sv-word", x, y: top + 12, "text-anchor": "middle" }, text);
  for (const [, a, b] of value.words)
    svg(plot, "line", { class: "sv-brace", x1: view.x(a) + 1, x2: Math.max(view.x(a) + 2, view.x(b) - 1), y1: under - 3.5, y2: under - 3.5 });
  const sounds = value.tokens.map(([token, a, b]) => [soundOf(token), view.x((a + b) / 2)]).filter(([token]) => token);
  const fitting = placed(sounds, view.soundWidth, 2, 3, 0);
  if (fitting.length >= 0.6 * sounds.length)
    for (const [token, x, row] of fitting)
      svg(plot, "text", { class: "sv-phone", x, y: under + 13 + 16 * row, "text-anchor": "middle" }, token);
}

// Boundaries of phonemes through the lanes below; too close, they would say nothing.
function drawEdges(plot, lane, value, view) {
  if (view.scale < 100 || !value.tokens.length) return;
  const edges = value.tokens.map(([, , end]) => "M" + view.x(end).toFixed(1) + " " + lane.top + "v" + lane.height);
  svg(plot, "path", { class: lane.key === "mel" ? "sv-edge sv-edge-mel" : "sv-edge", d: edges.join("") });
}

function drawWaveform(plot, axis, lane, value, view) {
  const low = signedBytes(value.waveform.low), high = signedBytes(value.waveform.high);
  const step = value.waveform.step_s;
  let peak = 0;
  for (let i = 0; i < low.length; i++) peak = Math.max(peak, -low[i], high[i]);
  const full = [0.25, 0.5, 0.75, 1].find((size) => peak <= 127 * size) || 1;
  const middle = lane.top + lane.height / 2;
  const y = (v) => (middle - ((v / 127 / full) * lane.height) / 2).toFixed(1);
  const share = Math.max(1, Math.floor(0.8 / (step * view.scale)));
  const above = [], below = [];
  for (let i = 0; i < low.length; i += share) {
    let [a, b] = [low[i], high[i]];
    for (let j = i + 1; j < Math.min(i + share, low.length); j++) [a, b] = [Math.min(a, low[j]), Math.max(b, high[j])];
    const x = view.x((i + share / 2) * step).toFixed(1);
    above.push(x + " " + y(b + 0.6));
    below.push(x + " " + y(a - 0.6));
  }
  svg(plot, "path", { class: "sv-draw-waveform", d: "M" + above.concat(below.reverse()).join("L") + "Z", fill: "var(--sv-wave)" });
  ticks(plot, axis, lane, [full, 0, -full].map((v) => [String(v).replace("-", "−"), middle - ((v / full) * lane.height) / 2]), view, false);
}

function drawMel(plot, axis, lane, value, view) {
  const { png, start_s: start, end_s: end, top_hz: top } = value.mel;
  if (png.startsWith("data:image/png;base64,"))
    svg(plot, "image", {
      class: "sv-draw-mel", href: png, x: view.x(start), y: lane.top, width: view.x(end) - view.x(start), height: lane.height,
      preserveAspectRatio: "none",
    });
  const place = (hz) => lane.top + lane.height * (1 - Math.log(1 + hz / 700) / Math.log(1 + top / 700));
  ticks(plot, axis, lane, MEL_TICKS.map((khz) => [String(khz), place(1000 * khz)]), view, false);
}

function linePath(series, x, y) {
  let path = "", isOpen = false;
  series.values.forEach((value, i) => {
    if (value === null) { isOpen = false; return; }
    const point = x(series.start_s + i * series.step_s).toFixed(1) + " " + y(value).toFixed(1);
    path += (isOpen ? "L" : "M" + point + "L") + point;
    isOpen = true;
  });
  return path;
}

function drawF0(plot, axis, lane, value, view) {
  const lines = value.before ? [value.before.f0, value.f0] : [value.f0];
  const voiced = lines.flatMap((line) => line.values.filter((v) => v !== null));
  if (!voiced.length) {
    svg(plot, "text", { class: "sv-tick", x: 8, y: lane.top + lane.height / 2 + 4 }, "no voice");
    return;
  }
  const least = voiced.reduce((a, b) => Math.min(a, b)), most = voiced.reduce((a, b) => Math.max(a, b));
  const middle = Math.sqrt(least * most);
  const low = Math.min(least / 1.08, middle / 1.35), high = Math.max(most * 1.08, middle * 1.35);
  const y = (hz) => lane.top + lane.height * (1 - Math.log(hz / low) / Math.log(high / low));
  ticks(plot, axis, lane, F0_TICKS.filter((hz) => hz >= low && hz <= high).map((hz) => [String(hz), y(hz)]), view, true);
  const mean = value.facts.mean_f0_hz;
  if (mean) svg(plot, "line", { class: "sv-mean", x1: 0, x2: view.x(value.duration_s), y1: y(mean), y2: y(mean) });
  const style = { fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" };
  if (value.before)
    svg(plot, "path", { ...style, class: "sv-draw-before", d: linePath(value.before.f0, view.x, y), stroke: "var(--sv-before)", "stroke-width": 2 });
  svg(plot, "path", { ...style, class: "sv-draw-f0", d: linePath(value.f0, view.x, y), stroke: "var(--sv-f0)", "stroke-width": 2.4 });
}

function drawLevel(plot, axis, lane, value, view) {
  const floor = LEVEL_TICKS[LEVEL_TICKS.length - 1];
  const bottom = lane.top + lane.height;
  const y = (db) => lane.top + (lane.height * Math.min(-floor, Math.max(0, -db))) / -floor;
  ticks(plot, axis, lane, LEVEL_TICKS.map((db) => [String(db).replace("-", "−"), y(db)]), view, true);
  if (value.before)
    svg(plot, "path", { d: linePath(value.before.level, view.x, y), fill: "none", stroke: "var(--sv-before)", "stroke-width": 1.5 });
  const line = linePath(value.level, view.x, y);
  const { start_s: start, step_s: step, values } = value.level;
  if (!values.length) return;
  const area = line + "L" + view.x(start + (values.length - 1) * step).toFixed(1) + " " + bottom + "L" + view.x(start).toFixed(1) + " " + bottom + "Z";
  if (!value.before) svg(plot, "path", { d: area, fill: "var(--sv-level)", opacity: 0.16 });
  svg(plot, "path", { class: "sv-draw-level", d: line, fill: "none", stroke: "var(--sv-level)", "stroke-width": 1.6 });
}

function drawFeeling(plot, axis, lane, value, view) {
  const height = lane.height - (value.labels.length ? STRIP + 6 : 0);
  const y = (v) => lane.top + 3 + ((height - 6) * (1 - v)) / 2;
  const { asked, heard } = value.feeling;
  ticks(plot, axis, lane, [1, 0, -1].map((v) => [String(v).replace("-", "−"), y(v)]), view, true);
  DIMENSIONS.forEach((name, d) => {
    const colour = given("colours")[name];
    let line = "", before = null;
    for (const row of heard) {
      const [a, b, middle, spread] = [row[0], row[1], row[2 + d], row[5 + d]];
      const [top, bottom] = [y(Math.min(1, middle + spread)), y(Math.max(-1, middle - spread))];
      svg(plot, "rect", { x: view.x(a), y: top, width: view.x(b) - view.x(a), height: bottom - top, fill: colour, opacity: 0.08 });
      line += (before !== null && a - before < 1e-3 ? "L" : "M") + view.x(a).toFixed(1) + " " + y(middle).toFixed(1) + "H" + view.x(b).toFixed(1);
      before = b;
    }
    if (line) svg(plot, "path", { class: "sv-draw-heard", d: line, fill: "none", stroke: colour, "stroke-width": 2.2, "stroke-linejoin": "round" });
    const wish = { start_s: 0, step_s: 1, values: asked.map((row) => row[1 + d]) };
    const path = linePath(wish, (i) => view.x(asked[i][0]), y);
    if (path) svg(plot, "path", { class: "sv-draw-asked", d: path, fill: "none", stroke: colour, "stroke-width": 1.8, "stroke-dasharray": "6 4" });
  });
  const strip = value.labels.map(([a, b, label, p]) => [a, b, label, 0.15 + 0.4 * p, given("colours")[label] || "var(--sv-line)"]);
  drawStrip(plot, lane.top + lane.height - STRIP, strip, view);
}

function drawSpans(plot, lane, value, view) {
  const strip = value.spans.map(([a, b, kind]) => [a, b, kind, kind === "silence" ? 0.35 : 0.28, SPAN_COLOURS[kind] || "var(--sv-line)"]);
  drawStrip(plot, lane.top, strip, view);
}

function drawStrip(plot, top, blocks, view) {
  for (const [a, b, text, opacity, fill] of blocks) {
    const [left, right] = [view.x(a), view.x(b)];
    const width = Math.max(1, right - left - 1);
    svg(plot, "rect", { x: left, y: top, width, height: STRIP, rx: 4, fill, opacity });
    if (view.soundWidth(text) + 8 > width) continue;
    const n = Math.max(1, Math.round(width / (0.7 * view.room))); // said again and again, so that one of them is in sight
    for (let i = 0; i < n; i++)
      svg(plot, "text", { class: "sv-span", x: left + (width * (i + 0.5)) / n, y: top + 15, "text-anchor": "middle" }, text);
  }
}

// Name and ticks [text, y] of a lane in the column that stays; ticks that would touch the name or each other are left out.
function ticks(plot, axis, lane, marks, view, hasGrid) {
  let last = lane.top + 6;
  const right = AXIS_WIDTH - 6;
  for (const [text, y] of marks.slice().sort((a, b) => a[1] - b[1])) {
    if (hasGrid) plot.insertBefore(svg(plot, "line", { class: "sv-grid", x1: 0, x2: view.width, y1: y, y2: y }), plot.firstChild);
    const isBesideName = y < lane.top + 18 && view.nameWidth(lane.name + " " + (lane.unit || "")) + view.tickWidth(text) + 4 > right;
    if (isBesideName || y - last < 12 && last > lane.top + 6) continue;
    svg(axis, "text", { class: "sv-tick", x: right, y: Math.min(y + 3.5, lane.top + lane.height + 3), "text-anchor": "end" }, text);
    last = y;
  }
}

function drawTime(plot, top, value, view) {
  const step = TIME_STEPS.find((s) => s * view.scale >= 56) || 20;
  const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
  for (let i = 0; i * step <= value.duration_s + 1e-6; i++) {
    const x = view.x(i * step);
    const anchor = i === 0 ? "start" : x > view.width - 16 ? "end" : "middle";
    svg(plot, "line", { class: "sv-base", x1: x, x2: x, y1: top, y2: top + 4 });
    svg(plot, "text", { class: "sv-tick", x: anchor === "middle" ? x : Math.min(Math.max(x, 1), view.width - 1), y: top + 15, "text-anchor": anchor }, i ? (i * step).toFixed(digits) : "0 s");
  }
}

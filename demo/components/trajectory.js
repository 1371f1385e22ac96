// Everything inside `element` is drawn here from `props`; the template never changes, so Gradio leaves the nodes alone.
// Listeners stand on `element` itself.
const SVG = "http://www.w3.org/2000/svg";
const INSET_PX = 13; // of the plot around the range of values
const GAP = 0.01; // of two points of a line, at least
const NEAR_PX = { mouse: 14, pen: 18, touch: 24 }; // a press that close to a point takes it
const STEP = { x: 0.02, y: 0.05 }, LEAP = { x: 0.1, y: 0.2 }; // of an arrow key, without and with Shift
const STILL_PX = 4; // a pointer that moved less was a click
const DOUBLE_MS = 500, DOUBLE_PX = 24; // two clicks that close are a double click
const WORD_GAP_PX = 6, SLANTED_PX = 15; // between words side by side, and between slanted ones
const REST_MS = 250; // after the last key, "release"
const HINT = "Double-click, or Enter, adds a point; drag or arrow keys move it; Delete removes it.";

const find = (selector) => element.querySelector(selector);
const plot = find(".plot"), curves = find(".curves"), readout = find(".readout");
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const round = (x) => Math.round(x * 100) / 100 + 0;
const shown = (x) => x.toFixed(2).replace("-", "\u2212");
const NAMES = given("lines").map((line) => line.name);

let current = NAMES[0]; // the line that is edited
let chosen = null; // index of its point that is
let drag = null, lastClick = null, releaseTimer = 0;

function lineOf(name) {
  const line = props.value && typeof props.value === "object" ? props.value[name] : null;
  return Array.isArray(line) ? line : [];
}

const lookOf = (name) => given("lines").find((line) => line.name === name);
const percent = (x) => (100 * x).toFixed(0) + " %";
// Where a word ends, as part of the text: as Python says, or all words alike.
const endOf = (i) => (i < 0 ? 0 : given("ends")[i] ?? (i + 1) / given("words").length);
const wordAt = (x) => given("words").findIndex((_, i) => x < endOf(i) || i === given("words").length - 1);

// The smoothstep between two points, 3s^2 - 2s^3 over s in [0, 1], is this cubic exactly.
function curveOf(line) {
  if (!line.length) return "";
  let d = "M 0 " + -line[0][1] + " L " + line[0][0] + " " + -line[0][1];
  for (let i = 1; i < line.length; i++) {
    const [x0, y0] = line[i - 1], [x1, y1] = line[i], third = (x1 - x0) / 3;
    d += " C " + (x0 + third) + " " + -y0 + " " + (x1 - third) + " " + -y1 + " " + x1 + " " + -y1;
  }
  return d + " L 1 " + -line.at(-1)[1];
}

function heightAt(line, x) {
  if (!line.length) return 0;
  const right = line.findIndex(([place]) => place > x);
  if (right === 0) return line[0][1];
  if (right < 0) return line.at(-1)[1];
  const [x0, y0] = line[right - 1], [x1, y1] = line[right], s = (x - x0) / (x1 - x0);
  return y0 + s * s * (3 - 2 * s) * (y1 - y0);
}

// --- changing the value

function setLine(line) {
  const value = {};
  for (const name of NAMES) value[name] = name === current ? line : lineOf(name);
  props.value = value;
  draw();
}

function release() {
  clearTimeout(releaseTimer);
  trigger("release");
}

function releaseSoon() {
  clearTimeout(releaseTimer);
  releaseTimer = setTimeout(release, REST_MS);
}

function choose(index) {
  chosen = index;
  draw();
  const node = index === null ? plot : find(".points").children[index];
  if (node && document.activeElement !== node) node.focus({ preventScroll: true });
}

function edit(name) {
  current = name;
  chosen = null;
  draw();
}

function moveChosen(x, y) {
  const line = lineOf(current).map((point) => [...point]);
  const low = chosen ? line[chosen - 1][0] + GAP : 0;
  const high = chosen < line.length - 1 ? line[chosen + 1][0] - GAP : 1;
  line[chosen] = [low > high ? line[chosen][0] : round(clamp(x, low, high)), round(clamp(y, -1, 1))];
  setLine(line);
}

// Add a point at x, or as near to it as there is room; false if there is none.
function add(x, y) {
  const line = lineOf(current);
  if (line.length >= given("most")) {
    drawReadout("A line has at most " + given("most") + " points; delete one first.");
    return false;
  }
  const isFree = (at) => at >= 0 && at <= 1 && line.every(([other]) => Math.abs(other - at) >= GAP - 1e-9);
  let at = round(clamp(x, 0, 1));
  for (let i = 1; !isFree(at); i++) at = round(clamp(x, 0, 1) + GAP * Math.ceil(i / 2) * (i % 2 ? 1 : -1));
  const point = [at, round(clamp(y, -1, 1))];
  const index = line.filter(([other]) => other < at).length;
  setLine([...line.slice(0, index), point, ...line.slice(index)]);
  choose(index);
  return true;
}

// Without a pointer: behind the chosen point, or into the widest space.
function addOnCurve() {
  const line = lineOf(current), places = line.map(([x]) => x);
  let x = 0.5;
  if (chosen !== null) {
    const [from, to] = chosen < line.length - 1 ? [places[chosen], places[chosen + 1]] : [places[chosen], 1];
    x = (from + to) / 2;
  } else if (line.length) {
    const ends = [0, ...places, 1];
    const widest = ends.slice(1).reduce((best, _, i) => (ends[i + 1] - ends[i] > ends[best + 1] - ends[best] ? i : best), 0);
    x = (ends[widest] + ends[widest + 1]) / 2;
  }
  return add(x, heightAt(line, x));
}

function remove() {
  const line = lineOf(current);
  if (chosen === null || chosen >= line.length) return;
  const index = chosen;
  setLine(line.filter((_, i) => i !== index));
  choose(line.length > 1 ? Math.min(index, line.length - 2) : null);
}

// --- pointer

function placeOf(event) {
  const box = plot.getBoundingClientRect();
  return {
    x: (event.clientX - box.left - INSET_PX) / (box.width - 2 * INSET_PX),
    y: 1 - (2 * (event.clientY - box.top - INSET_PX)) / (box.height - 2 * INSET_PX),
  };
}

// The point under a pointer: of the line that is edited, or else of another one.
function pointAt(event) {
  const box = plot.getBoundingClientRect(), at = placeOf(event);
  for (const names of [[current], NAMES.filter((name) => name !== current)]) {
    let best = null, least = NEAR_PX[event.pointerType] || NEAR_PX.mouse;
    for (const name of names) {
      lineOf(name).forEach(([x, y], index) => {
        const far = Math.hypot((x - at.x) * (box.width - 2 * INSET_PX), ((y - at.y) * (box.height - 2 * INSET_PX)) / 2);
        if (far <= least) { best = { name, index }; least = far; }
      });
    }
    if (best) return best;
  }
  return null;
}

function isDouble(event) {
  const before = lastClick;
  lastClick = { at: event.timeStamp, x: event.clientX, y: event.clientY };
  if (!before || event.timeStamp - before.at > DOUBLE_MS) return false;
  if (Math.hypot(event.clientX - before.x, event.clientY - before.y) > DOUBLE_PX) return false;
  lastClick = null;
  return true;
}

element.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || drag || !event.target.closest(".plot")) return;
  event.preventDefault();
  const hit = pointAt(event);
  if (!hit) {
    const at = placeOf(event);
    if (!isDouble(event)) choose(null);
    else if (add(at.x, at.y)) release();
    return;
  }
  lastClick = null;
  element.setPointerCapture(event.pointerId);
  if (hit.name !== current) edit(hit.name);
  choose(hit.index);
  const [x, y] = lineOf(current)[chosen], at = placeOf(event);
  drag = { id: event.pointerId, x: event.clientX, y: event.clientY, dx: x - at.x, dy: y - at.y, moved: false };
  plot.classList.add("dragging");
});

element.addEventListener("pointermove", (event) => {
  if (!drag || event.pointerId !== drag.id) return;
  drag.moved = drag.moved || Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > STILL_PX;
  if (!drag.moved || chosen === null) return;
  const at = placeOf(event);
  moveChosen(at.x + drag.dx, at.y + drag.dy);
});

for (const name of ["pointerup", "pointercancel"]) {
  element.addEventListener(name, (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    const { moved } = drag;
    drag = null;
    plot.classList.remove("dragging");
    if (moved) release();
  });
}

element.addEventListener("click", (event) => {
  const choice = event.target.closest(".choice button"), tool = event.target.closest("[data-tool]");
  if (choice) return edit(choice.dataset.name);
  if (!tool) return;
  if (tool.dataset.tool === "add" && !addOnCurve()) return;
  if (tool.dataset.tool === "delete") remove();
  if (tool.dataset.tool === "clear") { setLine([]); choose(null); }
  release();
});

// --- keys

element.addEventListener("focusin", (event) => {
  const index = [...find(".points").children].indexOf(event.target);
  if (index >= 0 && index !== chosen) { chosen = index; draw(); }
});

element.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  const step = event.shiftKey ? LEAP : STEP;
  const onPoint = event.target.closest(".point"), inPlot = event.target.closest(".plot");
  if (event.target.closest(".choice") && arrow) {
    edit(NAMES.at((NAMES.indexOf(current) + arrow[0] - arrow[1]) % NAMES.length));
    find('.choice [aria-checked="true"]').focus();
  } else if (onPoint && arrow) {
    const [x, y] = lineOf(current)[chosen];
    moveChosen(x + step.x * arrow[0], y + step.y * arrow[1]);
    releaseSoon();
  } else if (onPoint && (event.key === "Home" || event.key === "End")) {
    choose(event.key === "Home" ? 0 : lineOf(current).length - 1);
  } else if (onPoint && (event.key === "Delete" || event.key === "Backspace")) {
    remove();
    releaseSoon();
  } else if (inPlot && (event.key === "Enter" || event.key === " ")) {
    if (!onPoint) chosen = null;
    if (addOnCurve()) releaseSoon();
  } else {
    return;
  }
  event.preventDefault();
});

// What Python sets; while a hand holds a point, the value is the hand's.
watch(["value", "label"], () => { if (!drag) draw(); });
watch(["words", "ends"], () => { layWords(); draw(); });
new ResizeObserver(layWords).observe(plot);
draw();

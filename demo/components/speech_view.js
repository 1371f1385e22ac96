// What the lanes are put together to: scale, scrolling, readout, playhead. `element`, `props` and `watch` are Gradio's.
const sv = element.querySelector(".sv");
const part = (name) => sv.querySelector(".sv-" + name);
const [plot, axis, scroll, cursor, head] = ["plot", "axis", "scroll", "cursor", "playhead"].map(part);
const MAX_SCALE = 900, ZOOM = 1.5, KEY_S = 0.02;
const hidden = new Set();
let value = null, view = null, scale = 0, drawnWidth = 0, pointedAt = null, playedAt = 0;

const family = getComputedStyle(sv).fontFamily;
const widths = { wordWidth: textWidths("600 12.5px " + family), soundWidth: textWidths("12px " + family), nameWidth: textWidths("600 11px " + family), tickWidth: textWidths("10px " + family) };

function fitScale() {
  return Math.max(1, scroll.clientWidth - 1) / Math.max(0.05, value.duration_s);
}

function show() {
  value = props.value && props.value.waveform ? props.value : null;
  sv.dataset.state = value ? "full" : "empty";
  part("empty").textContent = given("placeholder") || "";
  [pointedAt, playedAt, view, scale, drawnWidth] = [null, 0, null, 0, 0];
  plot.replaceChildren();
  axis.replaceChildren();
  if (!value) {
    plot.removeAttribute("aria-label");
    return;
  }
  plot.setAttribute("aria-label", (given("label") ? given("label") + ". " : "") + value.alt);
  part("note").textContent = value.note;
  drawButtons();
  drawLegend();
  scroll.scrollLeft = 0;
  draw();
}

function draw() {
  if (!value || !scroll.clientWidth) return;
  const readable = Math.max(fitScale(), readableScale(value, widths));
  scale = scale ? Math.min(MAX_SCALE, Math.max(fitScale(), scale)) : readable;
  drawnWidth = scroll.clientWidth;
  const width = Math.max(scroll.clientWidth, Math.ceil(value.duration_s * scale));
  view = { scale, width, room: scroll.clientWidth, x: (seconds) => seconds * scale, lanes: [], ...widths };
  plot.replaceChildren();
  axis.replaceChildren();
  let top = 4;
  for (const kind of LANES.filter((lane) => lane.has(value) && !hidden.has(lane.key))) {
    const height = laneHeight(kind);
    const lane = { ...kind, height, top };
    drawLane(lane);
    view.lanes.push(lane);
    top += height + GAP;
  }
  drawTime(plot, top - GAP + 6, value, view);
  const height = top - GAP + 6 + TIME_HEIGHT;
  for (const [node, w] of [[plot, width], [axis, AXIS_WIDTH]]) {
    node.setAttribute("width", w);
    node.setAttribute("height", height);
  }
  cursor.style.height = head.style.height = height - TIME_HEIGHT + "px";
  sv.querySelector('[data-zoom="out"]').disabled = sv.querySelector('[data-zoom="fit"]').disabled = scale <= fitScale() * 1.001;
  sv.querySelector('[data-zoom="in"]').disabled = scale >= MAX_SCALE;
  moveLine(cursor, pointedAt);
  moveLine(head, playedAt > 0 ? playedAt : null);
  tellAt(pointedAt);
}

function laneHeight(kind) {
  if (kind.key === "feeling" && !value.labels.length) return kind.height - STRIP - 6;
  return kind.key === "sounds" && !value.words.length ? kind.height - WORD_HEIGHT : kind.height;
}

function drawLane(lane) {
  const name = svg(axis, "text", { class: "sv-name", x: 0, y: lane.top + 10 }, lane.name);
  if (lane.unit) svg(name, "tspan", { class: "sv-tick", dx: 3, "font-weight": 400 }, lane.unit);
  const group = svg(plot, "g", { "data-lane": lane.key });
  if (lane.key === "sounds") drawSounds(group, lane, value, view);
  if (lane.key === "waveform") drawWaveform(group, axis, lane, value, view);
  if (lane.key === "mel") drawMel(group, axis, lane, value, view);
  if (lane.key === "f0") drawF0(group, axis, lane, value, view);
  if (lane.key === "level") drawLevel(group, axis, lane, value, view);
  if (lane.key === "feeling") drawFeeling(group, axis, lane, value, view);
  if (lane.key === "spans") drawSpans(group, lane, value, view);
  if (["waveform", "mel", "f0", "level"].includes(lane.key)) drawEdges(group, lane, value, view);
}

function drawButtons() {
  const row = part("lanes");
  row.replaceChildren();
  for (const lane of LANES.filter((kind) => kind.has(value))) {
    const button = html(row, "button", "", lane.name);
    button.type = "button";
    button.dataset.lane = lane.key;
    button.setAttribute("aria-pressed", String(!hidden.has(lane.key)));
  }
}

function drawLegend() {
  const legend = part("legend");
  legend.replaceChildren();
  const entry = (text, colour, dash) => {
    const item = html(legend, "span");
    const key = svg(item, "svg", { width: 20, height: 8, "aria-hidden": "true" });
    svg(key, "line", { x1: 1, x2: 19, y1: 4, y2: 4, stroke: colour, "stroke-width": 2.2, "stroke-dasharray": dash });
    html(item, "span", "", text);
  };
  if (value.facts.mean_f0_hz && !hidden.has("f0")) entry("mean F0", "var(--sv-f0)", "2 4");
  if (value.before) entry("before", "var(--sv-before)", "none");
  const { asked, heard } = value.feeling;
  if (hidden.has("feeling")) return;
  if (asked.length || heard.length) for (const name of DIMENSIONS) entry(name, given("colours")[name], "none");
  if (heard.length) entry("heard", "var(--sv-soft)", "none");
  if (asked.length) entry("asked", "var(--sv-soft)", "5 3");
}

function moveLine(line, seconds) {
  const isShown = seconds !== null && view && seconds <= value.duration_s + 1e-6;
  line.hidden = !isShown;
  if (isShown) line.style.transform = "translateX(" + view.x(seconds).toFixed(1) + "px)";
}

const among = (rows, seconds) => rows.filter((row) => seconds >= row[0] && seconds < row[1])[0];
const named = (rows, seconds) => rows.filter((row) => seconds >= row[1] && seconds < row[2])[0];
const at = (series, seconds) => series.values[Math.round((seconds - series.start_s) / series.step_s)];
const signed = (number) => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(2);
const decibels = (number) => String(Math.round(number)).replace("-", "−") + " dB";

// Say what is at a time; without a time, what the whole is like.
function tellAt(seconds) {
  const readout = part("readout");
  readout.replaceChildren();
  const say = (text, quiet) => { if (text) html(readout, quiet ? "span" : "b", quiet ? "sv-quiet" : "", text); };
  const { facts } = value;
  if (seconds === null) {
    say(value.total_s.toFixed(2) + " s");
    if (facts.mean_f0_hz) say("F0 " + Math.round(facts.mean_f0_hz) + " Hz, " + Math.round(facts.low_f0_hz) + " to " + Math.round(facts.high_f0_hz), true);
    if (value.before && value.before.mean_f0_hz) say("before " + Math.round(value.before.mean_f0_hz) + " Hz", true);
    if (facts.level_db !== null) say(decibels(facts.level_db), true);
    return;
  }
  say(seconds.toFixed(2) + " s");
  const [token, word] = [named(value.tokens, seconds), named(value.words, seconds)];
  if (token && soundOf(token[0])) say(token[0]);
  if (word && word[0]) say(word[0], true);
  const [f0, before, level] = [at(value.f0, seconds), value.before && at(value.before.f0, seconds), at(value.level, seconds)];
  say(f0 ? Math.round(f0) + " Hz" : "unvoiced", true);
  if (before) say("before " + Math.round(before) + " Hz", true);
  if (level !== undefined) say(decibels(level), true);
  const [label, heard, span] = [value.labels, value.feeling.heard, value.spans].map((rows) => among(rows, seconds));
  if (label) say(label[2] + " " + Math.round(100 * label[3]) + " %");
  if (heard) say("A " + signed(heard[2]) + "  V " + signed(heard[3]) + "  D " + signed(heard[4]), true);
  if (span) say(span[2], true);
}

function pointAt(seconds) {
  pointedAt = seconds === null ? null : Math.min(value.duration_s, Math.max(0, seconds));
  moveLine(cursor, pointedAt);
  tellAt(pointedAt);
}

function zoomTo(newScale) {
  const middle = pointedAt !== null ? view.x(pointedAt) - scroll.scrollLeft : scroll.clientWidth / 2;
  const seconds = (scroll.scrollLeft + middle) / view.scale;
  scale = newScale;
  draw();
  scroll.scrollLeft = seconds * view.scale - middle;
}

function zoom(how) {
  if (how === "fit") zoomTo(fitScale());
  else zoomTo(how === "in" ? scale * ZOOM : scale / ZOOM);
}

const secondsAt = (event) => (event.clientX - plot.getBoundingClientRect().left) / view.scale;

const player = watchPlayer(given("player"), (share) => {
  if (!value) return;
  const seconds = share * value.total_s;
  const isPlaying = seconds > playedAt && seconds - playedAt < 0.5;
  playedAt = seconds;
  if (!view) return;
  moveLine(head, seconds > 0 ? seconds : null);
  const x = view.x(seconds) - scroll.scrollLeft;
  if (isPlaying && (x > 0.9 * scroll.clientWidth || x < 0)) scroll.scrollLeft += x - 0.15 * scroll.clientWidth;
});

element.addEventListener("pointermove", (event) => {
  if (value && view && event.pointerType === "mouse" && scroll.contains(event.target)) pointAt(secondsAt(event));
});
element.addEventListener("pointerout", (event) => {
  if (value && event.pointerType === "mouse" && !scroll.contains(event.relatedTarget)) pointAt(null);
});
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!value || !view) return;
  if (button && button.dataset.zoom) zoom(button.dataset.zoom);
  else if (button && button.dataset.lane) {
    if (!hidden.delete(button.dataset.lane)) hidden.add(button.dataset.lane);
    button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.lane)));
    drawLegend();
    draw();
  } else if (scroll.contains(event.target)) {
    pointAt(secondsAt(event));
    player.seek(pointedAt / value.total_s);
  }
});
element.addEventListener("keydown", (event) => {
  if (!value || !view || event.target !== scroll || event.ctrlKey || event.metaKey || event.altKey) return;
  const from = pointedAt === null ? playedAt : pointedAt;
  const step = event.shiftKey ? 10 * KEY_S : KEY_S;
  const moves = { ArrowLeft: from - step, ArrowRight: from + step, Home: 0, End: value.duration_s };
  if (event.key in moves) {
    part("readout").setAttribute("aria-live", "polite");
    pointAt(moves[event.key]);
    const x = view.x(pointedAt) - scroll.scrollLeft;
    if (x < 20 || x > scroll.clientWidth - 20) scroll.scrollLeft += x - scroll.clientWidth / 2;
  } else if (event.key === "Enter" && pointedAt !== null) player.seek(pointedAt / value.total_s);
  else if (event.key === "Escape") pointAt(null);
  else if (["+", "=", "-", "0"].includes(event.key)) zoom({ "-": "out", 0: "fit" }[event.key] || "in");
  else return;
  event.preventDefault();
});

new ResizeObserver(() => {
  if (!value || !scroll.clientWidth || scroll.clientWidth === drawnWidth) return;
  const wasAll = view && view.width <= drawnWidth + 1;
  if (wasAll) scale = 0;
  draw();
}).observe(scroll);
watch(["value", "placeholder", "label"], show);
show();

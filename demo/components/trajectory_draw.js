// The picture of the editor; it stands in one scope with trajectory.js, which says what is edited.

function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  curves.appendChild(node);
  return node;
}

function drawCurves() {
  curves.replaceChildren();
  for (const y of [-1, -0.5, 0, 0.5, 1]) shape("line", { x1: 0, x2: 1, y1: y, y2: y, class: y === 0 ? "zero" : "grid" });
  const count = given("words").length;
  for (let i = 1; i < count && count <= 60; i++) shape("line", { x1: endOf(i - 1), x2: endOf(i - 1), y1: -1, y2: 1, class: "word" });
  for (const name of [...NAMES.filter((other) => other !== current), current]) {
    const d = curveOf(lineOf(name));
    if (!d) continue;
    const style = "--colour:" + lookOf(name).colour;
    if (name === current) shape("path", { d: d + " L 1 0 L 0 0 Z", class: "area", style });
    shape("path", { d, class: "curve" + (name === current ? " current" : ""), "data-name": name, style });
  }
}

function place(node, [x, y]) {
  node.style.left = 100 * x + "%";
  node.style.top = 50 - 50 * y + "%";
}

function drawPoints() {
  const line = lineOf(current), parent = find(".points"), others = find(".others");
  while (parent.children.length > line.length) parent.lastChild.remove();
  while (parent.children.length < line.length) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("role", "slider");
    button.setAttribute("aria-orientation", "vertical");
    button.setAttribute("aria-valuemin", "-1");
    button.setAttribute("aria-valuemax", "1");
    parent.appendChild(button);
  }
  line.forEach((point, i) => {
    const button = parent.children[i];
    button.className = "point " + current;
    button.style.setProperty("--colour", lookOf(current).colour);
    button.setAttribute("aria-label", current + ", point " + (i + 1) + " of " + line.length);
    button.setAttribute("aria-valuenow", point[1].toFixed(2));
    button.setAttribute("aria-valuetext", describe(point));
    place(button, point);
  });
  others.replaceChildren();
  for (const name of NAMES.filter((other) => other !== current)) {
    for (const point of lineOf(name)) {
      const dot = document.createElement("div");
      dot.className = "dot " + name;
      dot.style.setProperty("--colour", lookOf(name).colour);
      place(dot, point);
      others.appendChild(dot);
    }
  }
}

function describe([x, y]) {
  const word = given("words")[wordAt(x)];
  return current + " " + shown(y) + " at " + percent(x) + " of the text" + (word ? ", \u201c" + word + "\u201d" : "");
}

function drawChoice() {
  const parent = find(".choice");
  given("lines").forEach((look, i) => {
    if (!parent.children[i]) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("role", "radio");
      button.dataset.name = look.name;
      button.style.setProperty("--colour", look.colour);
      const name = document.createElement("span"), swatch = document.createElement("span");
      name.className = "name";
      swatch.className = "swatch " + look.name;
      name.append(swatch, look.name);
      const count = document.createElement("span");
      count.className = "count";
      button.append(name, count);
      parent.appendChild(button);
    }
    const button = parent.children[i], number = lineOf(look.name).length;
    button.setAttribute("aria-checked", String(look.name === current));
    button.tabIndex = look.name === current ? 0 : -1;
    button.querySelector(".count").textContent = number ? number + (number > 1 ? " points" : " point") : "free";
  });
  find(".high").textContent = lookOf(current).high;
  find(".low").textContent = lookOf(current).low;
}

// Write as many words as there is room for, each under its middle; slanted where they do not all fit side by side.
function layWords() {
  const parent = find(".words"), count = given("words").length;
  parent.hidden = !count;
  parent.classList.remove("slanted");
  parent.replaceChildren();
  const width = parent.clientWidth;
  if (!width) return;
  const nodes = given("words").map((word, i) => {
    const node = document.createElement("span");
    node.textContent = word;
    node.dataset.index = i;
    return node;
  });
  parent.append(...nodes);
  const widths = nodes.map((node) => node.offsetWidth);
  const middle = (i) => 0.5 * (endOf(i - 1) + endOf(i)) * width;
  const start = (i) => clamp(middle(i) - widths[i] / 2, 0, width - widths[i]);
  const fits = nodes.every((_, i) => i === 0 || start(i) >= start(i - 1) + widths[i - 1] + WORD_GAP_PX);
  parent.classList.toggle("slanted", !fits);
  let free = -Infinity;
  nodes.forEach((node, i) => {
    if (!fits && middle(i) < free) { node.remove(); return; }
    node.style.left = (fits ? start(i) : middle(i)) + "px";
    free = middle(i) + SLANTED_PX;
  });
  markWord();
}

function markWord() {
  const point = chosen === null ? null : lineOf(current)[chosen];
  const near = point ? String(wordAt(point[0])) : null;
  for (const node of find(".words").children) node.classList.toggle("near", node.dataset.index === near);
}

function drawReadout(text) {
  const point = chosen === null ? null : lineOf(current)[chosen];
  readout.textContent = text || (point ? describe(point) : HINT);
}

function draw() {
  const line = lineOf(current);
  if (chosen !== null && chosen >= line.length) chosen = line.length ? line.length - 1 : null;
  drawCurves();
  drawChoice();
  drawPoints();
  markWord();
  drawReadout();
  plot.setAttribute("aria-label", (given("label") || "Emotion over time") + ", " + current + "; Enter adds a point");
  find('[data-tool="add"]').disabled = line.length >= given("most");
  find('[data-tool="delete"]').disabled = chosen === null;
  find('[data-tool="clear"]').disabled = !line.length;
}

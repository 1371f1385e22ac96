// Nine buttons over one player. Everything is drawn from `props`; the template never changes, so Gradio leaves the nodes alone.
const PLAY = "M8 5v14l11-7z", PAUSE = "M7 5h4v14H7zM13 5h4v14h-4z";
const frame = element.querySelector(".frame"), cells = element.querySelector(".cells");
const player = new Audio();
let current = -1; // number of the cell that the player holds
let frameRequest = 0;

const signed = (x) => (x < 0 ? "\u2212" : "+") + Math.abs(x).toFixed(2);

function build() {
  given("places").forEach((place, number) => {
    const cell = document.createElement("button");
    cell.type = "button";
    cell.className = "cell";
    cell.disabled = true;
    cell.style.setProperty("--colour", place.colour);
    cell.innerHTML = '<span class="icon"><svg viewBox="0 0 24 24" aria-hidden="true"><path/></svg></span><b></b><small><span class="word">heard </span><span class="place"></span></small><i class="number"></i><i class="bar"></i>';
    cell.querySelector("b").textContent = place.name;
    cell.querySelector(".number").textContent = number + 1;
    cells.appendChild(cell);
  });
}

function draw() {
  const value = props.value || {}, made = value.cells || [];
  frame.setAttribute("aria-label", given("label") || "Nine feelings of one sentence");
  given("places").forEach((place, number) => {
    const cell = cells.children[number], own = made[number], url = own && own.file && own.file.url;
    const isPlaying = number === current && !player.paused;
    cell.disabled = !url;
    cell.classList.toggle("ready", Boolean(url));
    cell.classList.toggle("working", value.at === number);
    cell.classList.toggle("playing", isPlaying);
    cell.querySelector("path").setAttribute("d", isPlaying ? PAUSE : PLAY);
    let words = value.at === number ? "speaking \u2026" : "";
    cell.querySelector(".word").hidden = !(own && own.heard);
    let said = "arousal " + signed(place.arousal) + ", valence " + signed(place.valence);
    if (own) words = own.heard ? signed(own.heard[0]) + " " + signed(own.heard[1]) : "nothing heard";
    if (own && own.heard) said += "; heard arousal " + signed(own.heard[0]) + ", valence " + signed(own.heard[1]);
    cell.querySelector(".place").textContent = words;
    cell.setAttribute("aria-label", (isPlaying ? "Pause " : "Play ") + (number + 1) + ", " + place.name + ": " + said);
    if (number !== current) cell.querySelector(".bar").style.transform = "";
  });
}

function follow() {
  cancelAnimationFrame(frameRequest);
  if (current < 0) return;
  const part = player.duration > 0 ? player.currentTime / player.duration : 0;
  cells.children[current].querySelector(".bar").style.transform = "scaleX(" + part + ")";
  if (!player.paused) frameRequest = requestAnimationFrame(follow);
}

function press(number) {
  if (number === current && !player.paused) return player.pause();
  const url = props.value.cells[number].file.url;
  if (number !== current || !player.src.endsWith(url)) player.src = url;
  current = number;
  player.play().catch(() => draw());
}

for (const name of ["play", "pause", "ended"]) {
  player.addEventListener(name, () => {
    draw();
    follow();
  });
}

element.addEventListener("click", (event) => {
  const cell = event.target.closest(".cell");
  if (cell && !cell.disabled) press([...cells.children].indexOf(cell));
});

element.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -3, ArrowDown: 3 }[event.key];
  const at = [...cells.children].indexOf(event.target.closest(".cell"));
  if (!step || at < 0) return;
  const isInRow = Math.abs(step) === 3 || Math.floor((at + step) / 3) === Math.floor(at / 3);
  const next = isInRow ? cells.children[at + step] : null;
  if (next && !next.disabled) next.focus();
  event.preventDefault();
});

watch("value", () => {
  const made = (props.value && props.value.cells) || [];
  const own = current >= 0 && made[current] && made[current].file;
  if (current >= 0 && !(own && player.src.endsWith(own.url))) {
    player.pause();
    current = -1;
  }
  draw();
});

build();
draw();

// Maps of words: which regions a word was said for, drawn over the frames, as a strip over time, and in words.

const FULL = 127;
const OPAQUE = 0.6; // how little of the frame is seen through the most relevant region
const BAR = 36; // pixels of a full bar of the strip

/** Load the maps of the shown video, if there are any, and make its words buttons. */
function startMaps() {
  const { video } = shown;
  const address = video.maps;
  if (!address) return;
  const begin = () => {
    if (!shown || shown.video !== video) return; // another video was opened meanwhile
    shown.maps = window.CLIPGRAPH[address];
    for (const box of document.querySelectorAll("#captions .caption")) makeWords(box);
    const first = document.querySelector("button.word");
    if (first) chooseWord(first.dataset.experiment, 0);
  };
  if (window.CLIPGRAPH[address]) begin();
  else document.head.append(make("script", { src: address, load: begin, error: () => { byId("told").textContent = `${address} is not there.`; } }));
  if (shown.player) for (const event of ["timeupdate", "seeked", "loadeddata"]) shown.player.addEventListener(event, draw);
}

/** The explanations of an experiment's captions, by name, in the order of the page. */
function explanationsOf(experiment) {
  const order = [...document.querySelectorAll("figure.removal")].map((figure) => figure.dataset.explanation);
  const found = Object.keys(shown.maps).filter((name) => shown.maps[name].experiment === experiment);
  return found.sort((one, other) => order.indexOf(one) - order.indexOf(other));
}

function makeWords(box) {
  const { experiment } = box.dataset;
  const [name] = explanationsOf(experiment);
  if (!name) return;
  const { words } = shown.maps[name];
  const button = (text, word) => make("button", {
    type: "button", class: "word", "data-experiment": experiment, "data-word": word, "aria-pressed": "false",
    click: () => chooseWord(experiment, word),
    pointerenter: (event) => { if (event.pointerType === "mouse") preview(experiment, word); }, // a finger leaves its pointer where it was
    pointerleave: (event) => { if (event.pointerType === "mouse") preview(null); },
    focus: () => preview(experiment, word),
    blur: () => preview(null),
  }, text);
  box.querySelector(".words").replaceChildren(...words.map(button), button("whole caption", "all"));
}

/** Choose a word: its map stays until another is chosen. */
function chooseWord(experiment, word) {
  const names = explanationsOf(experiment);
  const before = shown.chosen;
  const explanation = names.includes(before.explanation) ? before.explanation : names[0];
  shown.chosen = { experiment, word, explanation, whose: before.whose || "relevance" };
  for (const button of document.querySelectorAll("button.word")) {
    button.setAttribute("aria-pressed", String(button.dataset.experiment === experiment && button.dataset.word === String(word)));
  }
  markReferences(dataset().experiments.indexOf(experiment));
  makeMapControls(names);
  shown.previewed = null;
  showMap();
}

/** Show the map of a word that is pointed at or focused, without choosing it. */
function preview(experiment, word) {
  if (!shown || !shown.chosen.explanation) return;
  const [explanation] = experiment ? explanationsOf(experiment) : [];
  shown.previewed = experiment ? { ...shown.chosen, experiment, word, explanation: experiment === shown.chosen.experiment ? shown.chosen.explanation : explanation } : null;
  showMap();
}

function makeMapControls(names) {
  const { chosen } = shown;
  const choose = (change) => { Object.assign(chosen, change); showMap(); };
  const method = make("select", { id: "method", "aria-label": "Method", change: (event) => choose({ explanation: event.target.value }) },
    names.map((name) => make("option", { value: name }, `${shown.maps[name].method.replaceAll("_", " ")} (${name})`)));
  method.value = chosen.explanation;
  const whose = Object.entries({ relevance: "Trained model", twin: "Random weights" }).map(([key, text]) => make("button", {
    type: "button", "data-whose": key, "aria-pressed": String(chosen.whose === key),
    click: (event) => {
      for (const one of event.target.parentNode.children) one.setAttribute("aria-pressed", String(one === event.target));
      choose({ whose: key });
    },
  }, text));
  byId("map-controls").replaceChildren(method, make("div", { class: "choices", role: "group", "aria-label": "Whose map" }, whose));
  const key = (name, text) => make("span", { class: "key" }, make("span", { class: `swatch ${name}` }), text);
  byId("map-legend").replaceChildren(key("for", "speaks for the word"), key("against", "against it"),
    shown.maps[chosen.explanation].edges.length ? key("edge", "edges of the frame\u2019s nodes") : "");
}

/** The signed bytes of one word; or the sum over all words, each scaled to the sum 1, of which the largest becomes 127 or -127. */
function unpack(rows, word) {
  const bytes = (text) => Int8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  if (word !== "all") return bytes(rows[word] || "");
  const all = rows.map(bytes);
  const totals = all.map((row) => row.reduce((total, value) => total + Math.abs(value), 0) || 1);
  const sum = Array.from(all[0] || [], (_, i) => all.reduce((total, row, place) => total + row[i] / totals[place], 0));
  const most = Math.max(...sum.map(Math.abs)) || 1;
  return sum.map((value) => (FULL * value) / most);
}

/** The current map: its explanation, and the relevance of every region with its step of time and its box. */
function currentMap() {
  const { experiment, word, explanation, whose } = shown.previewed || shown.chosen;
  const told = shown.maps[explanation];
  const values = unpack(told[whose], word);
  const times = told.grid ? told.time : [...new Set(told.time)].sort((a, b) => a - b);
  const cells = told.box.length;
  const stepOf = (i) => (told.grid ? Math.floor(i / cells) : times.indexOf(told.time[i]));
  const regions = Array.from(values, (value, i) => ({ value, step: stepOf(i), box: told.box[told.grid ? i % cells : i] }));
  const edges = told.edges.length && whose === "relevance" ? unpack(told.edge_relevance, word) : [];
  return { told, word, experiment, regions, times, edges, name: word === "all" ? "whole caption" : told.words[word] };
}

function showMap() {
  shown.map = currentMap();
  showStrip();
  byId("told").textContent = inWords(shown.map);
  draw();
}

/** The step of time that is on the screen. */
function stepNow(times) {
  const now = shown.player ? shown.player.currentTime : 0;
  return times.reduce((best, time, i) => (Math.abs(time - now) < Math.abs(times[best] - now) ? i : best), 0);
}

function draw() {
  if (!shown || !shown.map || !shown.canvas) return;
  const { canvas, player, map } = shown;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(player.clientWidth * ratio);
  canvas.height = Math.round(player.clientHeight * ratio);
  const pen = canvas.getContext("2d");
  const step = stepNow(map.times);
  const place = ([left, top, right, bottom]) => [left * canvas.width, top * canvas.height, (right - left) * canvas.width, (bottom - top) * canvas.height];
  const drawn = map.regions.filter((region) => region.step === step).sort((one, other) => Math.abs(one.value) - Math.abs(other.value));
  for (const { value, box } of drawn) { // where boxes overlap, the most relevant alone is seen, and the frame through it
    const colour = value >= 0 ? "255, 120, 20" : "60, 130, 255";
    pen.fillStyle = `rgba(${colour}, ${(OPAQUE * Math.abs(value)) / FULL})`;
    pen.clearRect(...place(box));
    pen.fillRect(...place(box));
    if (!map.told.grid) {
      pen.strokeStyle = `rgba(${colour}, ${0.25 + (0.75 * Math.abs(value)) / FULL})`;
      pen.lineWidth = ratio * (1 + (3 * Math.abs(value)) / FULL);
      pen.strokeRect(...place(box));
    }
  }
  drawEdges(pen, canvas, map, step, ratio);
  for (const button of document.querySelectorAll("button.step")) {
    if (Number(button.dataset.step) === step) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

/** Draw the edges between nodes of the step that is shown; the thicker, the more relevant. */
function drawEdges(pen, canvas, map, step, ratio) {
  const middle = ([left, top, right, bottom]) => [((left + right) / 2) * canvas.width, ((top + bottom) / 2) * canvas.height];
  map.told.edges.forEach(([source, target], i) => {
    const [from, to] = [map.regions[source], map.regions[target]];
    const share = Math.abs(map.edges[i] || 0) / FULL;
    if (share < 0.1 || from.step !== step || to.step !== step) return;
    pen.strokeStyle = `rgba(255, 230, 60, ${share})`;
    pen.lineWidth = ratio * (1 + 3 * share);
    pen.beginPath();
    pen.moveTo(...middle(from.box));
    pen.lineTo(...middle(to.box));
    pen.stroke();
  });
}

/** Which share of the positive relevance each step has. */
function sharesOf({ regions, times }) {
  const shares = new Array(times.length).fill(0);
  let total = 0;
  for (const { value, step } of regions) if (value > 0) { shares[step] += value; total += value; }
  return shares.map((share) => (total ? share / total : 0));
}

/** The strip over time: a button for each step, as full as its share; it leads the clip there. */
function showStrip() {
  const { map, player } = shown;
  const shares = sharesOf(map);
  const most = Math.max(...shares) || 1;
  const strip = byId("strip");
  const old = [...strip.children];
  const steps = shares.map((share, i) => {
    const fill = make("span", { class: "fill" });
    fill.style.height = `${Math.round((BAR * share) / most)}px`;
    return make("button", { type: "button", class: "step", "data-step": i,
      click: () => { if (player) { player.pause(); player.currentTime = map.times[i]; } } },
    fill, make("b", {}, make("span", { class: "unseen" }, "frame "), String(i + 1)),
    make("span", { class: "unseen" }, `, ${map.times[i].toFixed(1)} s, `), make("small", {}, `${Math.round(100 * share)} %`));
  });
  if (old.length !== steps.length) return strip.replaceChildren(...steps);
  return steps.forEach((step, i) => { // the same elements stay, with their focus, and under a pointer that is down
    old[i].firstChild.style.height = step.firstChild.style.height;
    old[i].lastChild.textContent = step.lastChild.textContent;
  });
}

/** In which ninth of a frame the middle of a box is. */
function ninthOf([left, top, right, bottom]) {
  const third = (a, b) => Math.min(2, Math.floor((3 * (a + b)) / 2));
  return `${["upper", "middle", "lower"][third(top, bottom)]} ${["left", "centre", "right"][third(left, right)]}`.replace("middle centre", "centre");
}

/** The map in words: the ninth of a frame that has the most of it, and which share; and the edge that has the most. */
function inWords({ regions, edges, name, told, word }) {
  const parts = new Map();
  let total = 0;
  for (const { value, step, box } of regions.filter((region) => region.value > 0)) {
    const key = `frame ${step + 1}, ${ninthOf(box)}`;
    parts.set(key, (parts.get(key) || 0) + value);
    total += value;
  }
  const more = word === "all" ? [] : [`Probability ${Math.exp(told.log_p[word]).toFixed(2)}.`];
  const strongest = edges.reduce((best, value, i) => (value > (edges[best] || 0) ? i : best), -1);
  if (strongest >= 0) {
    const [from, to] = told.edges[strongest].map((node) => `${ninthOf(regions[node].box)} of frame ${regions[node].step + 1}`);
    more.unshift(`Strongest edge: from ${from} to ${to}.`);
  }
  if (!total) return [`${name}: no region speaks for it.`, ...more].join(" ");
  const [key, most] = [...parts].reduce((best, one) => (one[1] > best[1] ? one : best));
  return [`${name}: ${key}, ${Math.round((100 * most) / total)} %.`, ...more].join(" ");
}

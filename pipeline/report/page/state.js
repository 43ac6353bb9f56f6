// Which videos are listed: search, filters and order, kept in the address.

const START = { dataset: names[0], experiment: "", q: "", least: "", most: "", only: "all", sort: "clips", view: "cards", video: "" };
const state = { ...START };

const SORTS = { clips: "clips first", split: "as in the split", worst: "worst first", best: "best first", different: "most different first" };
const ONLY = {
  all: "all",
  captioned: "captioned",
  disagree: "experiments disagree",
  colour: "wrong colour",
  shape: "wrong shape",
  action: "wrong action",
  uncaptioned: "not captioned",
  "left-out": "left out",
  suspect: "suspect",
  played: "can be played",
  explained: "with maps of words",
};

const dataset = () => data.datasets[state.dataset];
const place = () => Math.max(0, dataset().experiments.indexOf(state.experiment));

/** The CIDEr that filters and order go by: that of the chosen experiment. */
const cider = (video) => video.cider[place()];

/** How far the experiments' CIDEr of a video are apart. */
function apart(video) {
  const known = video.cider.filter((value) => value !== null);
  return known.length > 1 ? Math.max(...known) - Math.min(...known) : -1;
}

/** Whether the caption of the chosen experiment tells something of generated shapes wrongly. */
const isWrong = (video, what) => "wrong" in video && video.wrong[place()].includes(what);

const TESTS = {
  all: () => true,
  captioned: (video) => video.captions[place()] !== null,
  disagree: (video) => new Set(video.captions.filter((caption) => caption !== null)).size > 1,
  colour: (video) => isWrong(video, "colour"),
  shape: (video) => isWrong(video, "shape"),
  action: (video) => isWrong(video, "action"),
  uncaptioned: (video) => video.captions[place()] === null,
  "left-out": (video) => "left_out" in video,
  suspect: (video) => "suspect" in video,
  played: (video) => "clip" in video,
  explained: (video) => "maps" in video,
};

/** The videos that are listed, in their order. */
function listed() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = dataset().videos.filter((video) => {
    const score = cider(video);
    if (state.least !== "" && !(score !== null && score >= Number(state.least))) return false;
    if (state.most !== "" && !(score !== null && score <= Number(state.most))) return false;
    if (!(TESTS[state.only] || TESTS.all)(video)) return false;
    const text = [video.id, ...video.captions, ...video.references].join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const unknown = (value, other) => (value === null ? other : value);
  const keys = {
    clips: (video) => (!video.clip ? 2 : video.maps ? 0 : 1),
    worst: (video) => unknown(cider(video), Infinity),
    best: (video) => -unknown(cider(video), -Infinity),
    different: (video) => -apart(video),
  };
  const key = keys[state.sort];
  return key ? found.map((video) => [key(video), video]).sort((a, b) => a[0] - b[0] || 0).map((pair) => pair[1]) : found;
}

/** How many videos are listed, and how many of these can be played. */
function countText(shown) {
  const of = (test, what) => (shown.some(test) ? `, ${shown.filter(test).length} ${what}` : "");
  return `${shown.length} of ${dataset().videos.length} videos${of(TESTS.played, "with a clip")}${of(TESTS.explained, "with maps of words")}`;
}

/** Read the state from the address; whether it holds one. */
function readAddress() {
  const [, told] = /^#videos\?(.*)$/s.exec(window.location.hash) || [];
  Object.assign(state, START);
  if (told === undefined) return false;
  for (const [name, value] of new URLSearchParams(told)) if (name in state) state[name] = value;
  if (!names.includes(state.dataset)) state.dataset = names[0];
  if (!(state.only in ONLY)) state.only = "all";
  return true;
}

/** Write the state into the address; with `step`, the browser's way back leads to the one before. */
function writeAddress(step) {
  const told = new URLSearchParams(Object.entries(state).filter(([name, value]) => value !== START[name]));
  const address = `#videos${String(told) ? `?${told}` : ""}`;
  window.history[step ? "pushState" : "replaceState"](null, "", address);
}

/** Make the controls of the list; each change lists anew. */
function makeControls(box) {
  const changed = () => {
    writeAddress(false);
    list();
  };
  const field = (label, control) => make("label", {}, make("span", {}, label), control);
  const choose = (id, name, options) => {
    const entries = Object.entries(options).map(([value, text]) => make("option", { value }, text));
    const control = make("select", { id, change: () => { state[name] = control.value; changed(); } }, ...entries);
    control.value = name === "experiment" ? dataset().experiments[place()] : state[name];
    return control;
  };
  const type = (id, name, kind) => make("input", {
    id, type: kind, value: state[name], step: kind === "number" ? "any" : null, autocomplete: "off",
    input: (event) => { state[name] = event.target.value; changed(); },
  });
  const videos = dataset().videos;
  const useful = Object.keys(ONLY).filter((only) => only === "all" || only === state.only || videos.some(TESTS[only]));
  const of = (keys, texts) => Object.fromEntries(keys.map((key) => [key, texts[key] || key]));
  const sorts = Object.keys(SORTS).filter((sort) => sort !== "different" || dataset().experiments.length > 1);
  const views = { cards: "Cards", rows: "Rows" };
  box.replaceChildren(
    field("Search", type("search", "q", "search")),
    ...(names.length > 1 ? [field("Data set", choose("of-dataset", "dataset", of(names, {})))] : []),
    ...(dataset().experiments.length > 1 ? [field("Experiment", choose("of-experiment", "experiment", of(dataset().experiments, {})))] : []),
    field("Show", choose("only", "only", of(useful, ONLY))),
    field("Order", choose("sort", "sort", of(sorts, SORTS))),
    field("CIDEr from", type("least", "least", "number")),
    field("to", type("most", "most", "number")),
    make("div", { class: "choices", role: "group", "aria-label": "View" }, Object.entries(views).map(([view, text]) =>
      make("button", { type: "button", "data-view": view, "aria-pressed": String(state.view === view), click: (event) => {
        state.view = view;
        for (const one of event.target.parentNode.children) one.setAttribute("aria-pressed", String(one === event.target));
        changed();
      } }, text))),
  );
  const which = box.querySelector("#of-dataset");
  if (which) which.addEventListener("change", () => { state.experiment = ""; makeControls(box); });
}

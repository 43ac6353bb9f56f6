// The list of videos, as cards or as rows.

let watching = null;
let rowsTable = null;
const AT_FIRST = window.matchMedia("(max-width: 40rem)").matches ? 6 : 12; // cards, so that what follows is not far below; more are a press away
const MORE = 24;

/** Show the videos of the state. */
function list() {
  const found = listed();
  const box = byId("list");
  byId("found").textContent = countText(found);
  if (watching) watching.disconnect();
  if (rowsTable) rowsTable.destroy();
  rowsTable = null;
  if (state.view === "rows") return listRows(box, found);
  const cards = make("ul", { class: "cards" });
  watching = whenNear([], (image) => { image.src = image.dataset.src; });
  const more = make("button", { type: "button", id: "more", click: () => add(MORE) });
  const add = (number) => {
    const at = cards.children.length;
    const added = found.slice(at, at + number).map(card);
    cards.append(...added);
    for (const one of added) for (const image of one.querySelectorAll("img[data-src]")) watching.observe(image);
    const left = found.length - cards.children.length;
    more.hidden = left === 0;
    more.textContent = `${Math.min(left, MORE)} more of ${left}`;
    if (at && added.length) added[0].querySelector("button").focus();
  };
  box.replaceChildren(cards, more);
  add(AT_FIRST);
  return undefined;
}

/** A card: the still of a clip, or what was said and what was to be said where there is no clip; then all other captions. */
function card(video) {
  const own = place();
  const open = (attributes, ...children) => make("button", { type: "button", class: "open", ...attributes, click: () => openVideo(video.id) }, ...children);
  const panel = video.poster
    ? open({ "aria-label": `Show video ${video.id}` }, make("img", { "data-src": video.poster, alt: "" }))
    : open({ class: "open without" }, predictionOf(video, own, "span"), make("span", { class: "soft" }, video.references.length ? `Reference: ${video.references[0]}` : "no reference"));
  const others = dataset().experiments.map((_, i) => i).filter((i) => video.poster || i !== own);
  return make("li", { class: "card", "data-video": video.id }, panel,
    make("h3", {}, video.id, video.maps ? make("b", { class: "badge" }, "maps of words") : null), marks(video),
    ...others.map((i) => predictionOf(video, i, "p")));
}

/** What an experiment said of a video, and how good that is. */
function predictionOf(video, i, tag) {
  const [caption, score] = [video.captions[i], video.cider[i]];
  return make(tag, { class: "prediction" },
    caption === null ? make("span", { class: "no" }, "not captioned") : caption || "(empty caption)",
    make("small", {}, dataset().experiments[i], score === null ? "" : ", CIDEr ", score === null ? null : figureSpan(score),
      video.wrong && video.wrong[i].length ? make("b", { class: "no" }, `, wrong ${video.wrong[i].join(", ")}`) : null));
}

/** What is wrong with a video, if anything. */
function marks(video) {
  return ["left_out", "suspect", "problem"].filter((what) => what in video).map((what) =>
    make("p", { class: "mark" }, make("b", { class: "badge" }, what.replace("_", " ")), ` ${video[what]}`));
}

function listRows(box, found) {
  const { experiments } = dataset();
  const holder = make("div", {});
  const label = (text) => ({ elementAttributes: { "aria-label": text } });
  const columns = [
    { title: "Video", field: "id", frozen: true, width: 130, headerFilter: "input", headerFilterParams: label("Filter videos") },
    ...experiments.flatMap((name, i) => [
      { title: "CIDEr", field: `cider${i}`, width: 104, hozAlign: "right", sorter: "number", headerFilter: "number", headerFilterFunc: ">=",
        headerFilterPlaceholder: "at least", headerFilterParams: label(`Least CIDEr of ${name}`),
        formatter: (cell) => (cell.getValue() === null ? "" : figureSpan(cell.getValue())) },
      { title: name, field: `caption${i}`, minWidth: 180, headerFilter: "input", headerFilterParams: label(`Filter captions of ${name}`) },
    ]),
  ];
  const rows = found.map((video, at) => ({
    at,
    id: video.id,
    ...Object.fromEntries(experiments.flatMap((_, i) => [[`caption${i}`, video.captions[i] ?? "not captioned"], [`cider${i}`, video.cider[i]]])),
  }));
  const plain = (cell) => make("span", {}, String(cell.getValue() ?? ""));
  for (const column of columns) if (!column.formatter) column.formatter = plain; // text stays text
  columns[0].formatter = (cell) => make("button", { type: "button", class: "open", click: () => openVideo(cell.getValue()) }, cell.getValue());
  box.replaceChildren(holder);
  rowsTable = new Tabulator(holder, { data: rows, columns, height: 520, layout: "fitDataStretch", placeholder: "No video", rowHeight: 48,
    columnDefaults: { resizable: false } });
  const table = rowsTable;
  table.on("tableBuilt", () => byKeys(holder));
  table.on("dataFiltered", (filters, shown) => {
    byId("found").textContent = countText(shown.map((row) => found[row.getData().at]));
  });
}

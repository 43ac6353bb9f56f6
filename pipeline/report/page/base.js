// The script of the report page. It enhances what the template has written; without it scores and captions are tables.
//
// Elements that are tapped or read, and that tests may name:
//   #scale button[data-scale]          scores times 1 or times 100
//   #scores table.sortable             becomes .tabulator; its heads sort
//   .compare select.one, select.other  two experiments; p.difference says how far they are apart
//   #find: #search, #of-dataset, #of-experiment, #least, #most, #only, #sort, button[data-view]   what is listed
//   #found                             how many videos are listed
//   #list [data-video=ID]              a card; its button.open shows the video by itself; #more lists further ones;
//                                      .tabulator in the view of rows
//   #video                             one video: #player, #play, #time, button.word[data-experiment][data-word], #method,
//                                      button[data-whose], #told (the map in words), #strip button.step, #previous, #next, #close
//   ul.three, button.hold              the three clips, and what holds them
//   figure.curves .uplot, figure.removal .uplot   training curves, and what the removal of regions costs
// The state of the videos is in the address: #videos?q=..&only=..&video=ID.

const data = (window.CLIPGRAPH || {}).data || { datasets: {}, curves: {} };
const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
const names = Object.keys(data.datasets);

/** Make an element: attributes that are false or null are left out, functions listen, texts are text. */
function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

const byId = (id) => document.getElementById(id);

// Scores stand in the page as <span class="x" data-x="0.907">: one switch changes all of them.
let scale = 1;

/** A score as text, in the scale that is chosen. */
function figureText(value, signed) {
  const text = (value * scale).toFixed(scale === 1 ? 3 : 1);
  return signed && value >= 0 ? `+${text}` : text;
}

function figureSpan(value, signed) {
  return make("span", { class: "x", "data-x": value, "data-signed": Boolean(signed) }, figureText(value, signed));
}

function rescale(root) {
  for (const span of root.querySelectorAll(".x")) {
    span.textContent = figureText(Number(span.dataset.x), "signed" in span.dataset);
  }
}

/** Call back once for each element when it comes near the screen. */
function whenNear(elements, call) {
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watch.unobserve(entry.target);
      call(entry.target);
    }
  }, { rootMargin: "120px" });
  for (const one of elements) watch.observe(one);
  return watch;
}

/** The lower-case words of a caption, without punctuation. */
function wordsOf(caption) {
  return caption.toLowerCase().replace(/[^\p{L}\p{M}\p{N}\s]/gu, "").split(/\s+/).filter(Boolean);
}

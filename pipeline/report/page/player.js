// One video: the clip, captions side by side, and references.

let shown = null; // {video, player, canvas, chosen: {experiment, word, explanation, whose}} of the open video

function openVideo(id) {
  state.video = id;
  writeAddress(true);
  showVideo();
  byId("video-title").focus({ preventScroll: true });
  byId("video").scrollIntoView({ behavior: calm ? "auto" : "smooth" });
}

function closeVideo() {
  const card = [...document.querySelectorAll("#list [data-video]")].find((one) => one.dataset.video === state.video);
  state.video = "";
  writeAddress(true);
  showVideo();
  if (card) card.querySelector("button").focus();
}

/** Show the video of the state, or none. */
function showVideo() {
  const section = byId("video");
  const video = dataset().videos.find((one) => one.id === state.video);
  if (shown && shown.player) shown.player.pause();
  shown = null;
  section.hidden = !video;
  if (!video) return byId("one").replaceChildren();
  byId("video-title").textContent = `Video ${video.id}`;
  const player = video.clip
    ? make("video", { id: "player", controls: true, loop: true, muted: true, playsinline: true, preload: "metadata", src: video.clip, poster: video.poster, "aria-label": `Video ${video.id}` })
    : null;
  if (player) player.muted = true;
  const canvas = player ? make("canvas", { id: "overlay", "aria-hidden": "true" }) : null;
  shown = { video, player, canvas, chosen: {}, maps: null };
  byId("one").replaceChildren(
    make("p", { class: "choices" }, stepButton("previous", "Previous", -1), stepButton("next", "Next", 1),
      make("button", { type: "button", id: "close", click: closeVideo }, "Close")),
    marks(video)[0] || "",
    make("div", { class: "beside" },
      make("div", {}, player ? make("div", { class: "screen" }, player, canvas) : make("p", { class: "unplayable" }, video.problem || "This video is not among the clips shown."),
        make("div", { id: "map-controls" }), make("div", { id: "strip" }), make("p", { id: "told", "aria-live": "polite" })),
      make("div", {}, make("div", { id: "captions" }, captionsOf(video)), make("h3", {}, "References"), make("ul", { id: "references" }))),
  );
  markReferences(video.captions[place()] || "");
  startMaps();
  return undefined;
}

function stepButton(id, text, by) {
  const order = listed();
  const at = order.findIndex((video) => video.id === state.video);
  const target = at < 0 ? undefined : order[at + by];
  return make("button", { type: "button", id, disabled: !target, click: () => {
    state.video = target.id;
    writeAddress(false);
    showVideo();
    byId(id).disabled ? byId("video-title").focus() : byId(id).focus();
  } }, text);
}

/** The captions of all experiments; words become buttons once their maps are there. */
function captionsOf(video) {
  return dataset().experiments.map((name, i) => make("div", { class: "caption", "data-experiment": name },
    make("p", { class: "whose" }, name, video.cider[i] === null ? "" : ", CIDEr ", video.cider[i] === null ? null : figureSpan(video.cider[i])),
    make("p", { class: "words" }, video.captions[i] === null ? make("span", { class: "no" }, "not captioned") : video.captions[i] || "(empty caption)")));
}

/** List the references, with the words marked that a caption has, too. */
function markReferences(caption) {
  const own = new Set(wordsOf(caption));
  const { references } = shown.video;
  const marked = (text) => text.split(/(\s+)/).map((part) => (wordsOf(part).some((word) => own.has(word)) ? make("mark", {}, part) : part));
  byId("references").replaceChildren(...(references.length ? references.map((text) => make("li", {}, marked(text))) : [make("li", {}, "no reference")]));
}

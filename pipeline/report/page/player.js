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
    ? make("video", { id: "player", loop: true, muted: true, playsinline: true, preload: "auto", src: video.clip,
      poster: video.maps ? null : video.poster, // a still from the middle would lie below the map of the first step
      "aria-label": `Video ${video.id}` })
    : null;
  if (player) player.muted = true;
  const canvas = player ? make("canvas", { id: "overlay", "aria-hidden": "true" }) : null;
  shown = { video, player, canvas, chosen: {}, maps: null };
  byId("one").replaceChildren(
    make("p", { class: "choices" }, stepButton("previous", "Previous", -1), stepButton("next", "Next", 1),
      make("button", { type: "button", id: "close", click: closeVideo }, "Close")),
    marks(video)[0] || "",
    make("div", { class: "beside" },
      make("div", {}, player ? [make("div", { class: "screen" }, player, canvas), controlsOf(player)] : make("p", { class: "soft" }, "No clip of this video is beside the page."),
        make("div", { id: "map-controls" }), make("div", { id: "strip" }), make("p", { id: "told", "aria-live": "polite" }), make("p", { id: "map-legend", class: "soft" })),
      make("div", {}, make("div", { id: "captions" }, captionsOf(video)), make("h3", {}, "References"), make("p", { id: "marked", class: "soft" }), make("ul", { id: "references" }))),
  );
  markReferences(place());
  startMaps();
  return undefined;
}

/** Play and time below the clip: a browser's own controls would lie over the frames and their maps. */
function controlsOf(player) {
  const toggle = () => {
    if (!player.paused) return player.pause();
    return player.play().catch(() => {}); // a press on pause, or another video, may come before it has begun
  };
  const play = make("button", { type: "button", id: "play", click: toggle }, "Play");
  const time = make("input", { type: "range", id: "time", min: 0, max: 1, step: 0.01, value: 0, "aria-label": "Time", input: () => { player.currentTime = Number(time.value); } });
  const now = make("span", { class: "soft" });
  const tell = () => {
    time.max = player.duration || 1;
    time.value = player.currentTime;
    now.textContent = `${player.currentTime.toFixed(1)} s`;
    time.setAttribute("aria-valuetext", now.textContent);
  };
  for (const event of ["loadedmetadata", "timeupdate", "seeked"]) player.addEventListener(event, tell);
  for (const event of ["play", "pause"]) player.addEventListener(event, () => { play.textContent = player.paused ? "Play" : "Pause"; });
  player.addEventListener("click", toggle);
  return make("div", { class: "controls" }, play, time, now);
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

/** List the references, with the words marked that the caption of an experiment has, too. */
function markReferences(at) {
  const own = new Set(wordsOf(shown.video.captions[at] || ""));
  byId("marked").textContent = own.size ? `Marked: words that the caption of ${dataset().experiments[at]} has, too.` : "";
  const { references } = shown.video;
  const marked = (text) => text.split(/(\s+)/).map((part) => (wordsOf(part).some((word) => own.has(word)) ? make("mark", {}, part) : part));
  byId("references").replaceChildren(...(references.length ? references.map((text) => make("li", {}, marked(text))) : [make("li", {}, "no reference")]));
}

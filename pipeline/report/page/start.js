// Begin: only where the data have come, so that a page by itself stays readable.

/** Play the three clips while they are seen, with one button to hold them, for those who have not asked for less motion. */
function startLively(three) {
  if (calm) return; // then each has the browser's own controls
  const videos = [...three.querySelectorAll("video")];
  const seen = new Set();
  let held = false;
  const move = () => {
    for (const video of videos) {
      if (seen.has(video) && !held) video.play().catch(() => {}); // a browser may refuse to play by itself
      else video.pause();
    }
  };
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) isIntersecting ? seen.add(target) : seen.delete(target);
    move();
  });
  const hold = make("button", { type: "button", class: "hold", click: () => {
    held = !held;
    hold.textContent = held ? "Play the clips" : "Pause the clips";
    move();
  } }, "Pause the clips");
  for (const video of videos) {
    video.muted = true;
    video.controls = false; // they would hide half of a clip on a phone
    watch.observe(video);
  }
  if (videos.length) three.after(hold);
}

function followAddress() {
  const told = readAddress();
  makeControls(byId("find"));
  list();
  showVideo();
  if (told) byId(state.video && !byId("video").hidden ? "video" : "videos").scrollIntoView();
}

/** Open the part that an address within the page names. */
function openTarget() {
  const target = byId(decodeURIComponent(window.location.hash.slice(1)));
  const folded = [];
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") folded.push(part);
  for (const part of folded) part.open = true;
  if (folded.length) target.scrollIntoView();
}

if (window.CLIPGRAPH && window.Tabulator && window.uPlot) {
  document.documentElement.classList.add("js");
  startTables();
  if (names.length) {
    followAddress();
    window.addEventListener("popstate", () => {
      if (window.location.hash === "" || window.location.hash.startsWith("#videos")) followAddress();
    });
  }
  startCurves();
  for (const three of document.querySelectorAll(".three")) startLively(three);
  openTarget();
  window.addEventListener("hashchange", openTarget);
}

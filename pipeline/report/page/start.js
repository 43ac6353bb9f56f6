// Begin: only where the data have come, so that a page by itself stays readable.

/** Play the three clips while they are seen, for those who have not asked for less motion. */
function startLively() {
  if (calm) return;
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) target.play().catch(() => {}); // a browser may refuse to play by itself
      else target.pause();
    }
  });
  for (const video of document.querySelectorAll("video.lively")) {
    video.muted = true;
    watch.observe(video);
  }
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
  if (target && target.tagName === "DETAILS") target.open = true;
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
  startLively();
  openTarget();
  window.addEventListener("hashchange", openTarget);
}

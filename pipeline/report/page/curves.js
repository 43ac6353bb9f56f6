// Training curves: losses with a logarithmic axis, the epoch marked whose weights were kept.

const SHARED = { loss: "loss", left_to_right: "loss", right_to_left: "loss", lr: "learning rate", top1: "top-1" };
const COLOURS = ["#3b82c4", "#d9822b", "#3f9a5f", "#b35bb0", "#8a8a2d"];
const DASHES = [[], [6, 4], [2, 3], [8, 3, 2, 3]];

function startCurves() {
  const figures = [...document.querySelectorAll("figure.curves")].filter((one) => data.curves[one.dataset.experiment]);
  whenNear(figures, drawCurves);
  whenNear([...document.querySelectorAll("figure.removal")], drawRemoval);
}

/** Draw what the removal of regions costs, and what random removal does. */
function drawRemoval(figure) {
  const told = data.removal[figure.dataset.explanation];
  const box = make("div", { class: "plots" });
  figure.append(box);
  const percent = told.shares.map((share) => 100 * share);
  const names = { deleted: "most relevant removed", deleted_at_random: "removed at random", inserted: "most relevant kept alone" };
  const curves = Object.fromEntries(Object.entries(names).map(([key, name]) => [name, [percent, told[key]]]));
  drawGroup(box, "mean log p", Object.values(names), [{ seed: 1, kept: null, curves }], "% of regions", 20);
}

function drawCurves(figure) {
  const trainings = data.curves[figure.dataset.experiment];
  const groups = {};
  for (const { curves } of trainings) {
    for (const name of Object.keys(curves)) {
      const word = Object.keys(SHARED).find((part) => name.includes(part));
      const title = word ? SHARED[word] : name.replaceAll("_", " ");
      (groups[title] = groups[title] || new Set()).add(name);
    }
  }
  const box = make("div", { class: "plots" });
  figure.querySelector("img").replaceWith(box);
  const last = (title) => (title === "learning rate" ? 1 : 0);
  for (const [title, own] of Object.entries(groups).sort((a, b) => last(a[0]) - last(b[0]))) drawGroup(box, title, [...own], trainings);
}

/** A number with three digits that count. */
const short = (value) => (value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(3))));

/** Draw curves that share their axes. Below them stand their values where `rest` is, the epoch that was kept, or the last one. */
function drawGroup(box, title, own, trainings, along = "epoch", rest = null) {
  const lines = trainings.flatMap((training, seed) => own.filter((name) => name in training.curves).map((name) => ({ name, seed, training })));
  const epochs = [...new Set(lines.flatMap(({ name, training }) => training.curves[name][0]))].sort((a, b) => a - b);
  const values = lines.map(({ name, training }) => {
    const [x, y] = training.curves[name];
    const at = new Map(x.map((epoch, i) => [epoch, y[i]]));
    return epochs.map((epoch) => at.get(epoch) ?? null);
  });
  const positive = values.flat().every((value) => value === null || value > 0);
  const isLog = title === "loss" && positive;
  const ink = getComputedStyle(document.body).getPropertyValue("--soft").trim();
  const line = getComputedStyle(document.body).getPropertyValue("--line").trim();
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
  const kept = [...new Set(trainings.map((training) => training.kept).filter((epoch) => epoch !== null))];
  const few = epochs.length < 20;
  const at = Math.max(0, epochs.indexOf(rest ?? kept[0] ?? epochs.at(-1)));
  const holder = make("div", { class: "plot", role: "group", "aria-label": `${title} by ${along}${kept.length ? `, weights kept of epoch ${kept.join(", ")}` : ""}` });
  box.append(holder);
  const width = Math.max(240, Math.min(340, box.clientWidth - 8));
  new uPlot({
    title: title + (isLog ? ", log" : ""), width, height: 220,
    scales: { x: { time: false }, y: isLog ? { distr: 3 } : {} },
    axes: [
      { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500], label: along, labelSize: 18, labelFont: "12px system-ui, sans-serif" },
      { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : short(tick))) },
    ],
    series: [{ label: along, value: (_, value) => (value === null ? "" : String(Math.round(value))) }, ...lines.map(({ name, seed, training }) => ({
      label: name.replaceAll("_", " ") + (trainings.length > 1 ? `, seed ${training.seed}` : ""),
      stroke: COLOURS[own.indexOf(name) % COLOURS.length], dash: DASHES[seed % DASHES.length], width: 1.6, spanGaps: true, points: { show: few, size: 5 },
      value: (_, value) => (value === null || value === undefined ? "\u2013" : short(value)),
    }))],
    hooks: {
      draw: [(plot) => markKept(plot, kept, ink)],
      ready: [(plot) => plot.setLegend({ idx: at })],
      setLegend: [(plot) => { if (plot.legend.idx === null || plot.legend.idx === undefined) plot.setLegend({ idx: at }, false); }],
    },
  }, [epochs, ...values], holder);
}

function markKept(plot, kept, ink) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = ink;
  ctx.setLineDash([4, 4]);
  for (const epoch of kept) {
    const x = plot.valToPos(epoch, "x", true);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

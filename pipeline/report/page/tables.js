// Tables of scores: sorted by their heads, in two scales, and the difference of any two experiments.

const tables = []; // {tabulator, cells}: the tables that were enhanced, with the cells that they copy

/** Let a table of the page be sorted: its cells are shown as they are, and numbers sort by `data-value`. */
function enhance(table) {
  const narrow = window.matchMedia("(max-width: 40rem)").matches; // so that the first two metrics stand on a phone
  const heads = [...table.tHead.rows[0].cells];
  const cells = [...table.tBodies[0].rows].map((row) => [...row.cells]);
  const columns = heads.map((head, place) => {
    const isNumber = head.classList.contains("number");
    return {
      title: head.textContent.trim(),
      field: `c${place}`,
      frozen: place === 0,
      hozAlign: isNumber ? "right" : "left",
      headerHozAlign: isNumber ? "right" : "left",
      headerSortStartingDir: isNumber ? "desc" : "asc",
      minWidth: place === 0 ? (narrow ? 114 : 132) : narrow ? 118 : 122,
      widthGrow: place === 0 ? 2 : 1,
      sorter: isNumber ? "number" : "string",
      sorterParams: isNumber ? { alignEmptyValues: "bottom" } : {},
      formatter: (cell) => {
        const source = cells[cell.getData().row][place];
        const holder = make("div", { class: source.className });
        holder.append(...[...source.childNodes].map((node) => node.cloneNode(true)));
        return holder;
      },
    };
  });
  const rows = cells.map((own, row) => {
    const entry = { row };
    own.forEach((cell, place) => {
      const isNumber = heads[place].classList.contains("number");
      entry[`c${place}`] = isNumber ? (cell.dataset.value ? Number(cell.dataset.value) : null) : cell.textContent.trim();
    });
    return entry;
  });
  const holder = make("div", { class: table.className.replace("sortable", "") });
  const around = table.closest(".table");
  around.removeAttribute("tabindex");
  table.replaceWith(holder);
  const tabulator = new Tabulator(holder, {
    data: rows,
    columns,
    layout: "fitColumns",
    columnDefaults: { resizable: false, variableHeight: true, tooltip: false },
    rowFormatter: (row) => {
      const source = cells[row.getData().row][0].closest("tr");
      row.getElement().classList.toggle("bound", source.classList.contains("bound"));
      row.getElement().classList.toggle("published", source.classList.contains("published"));
    },
  });
  tabulator.on("tableBuilt", () => byKeys(holder));
  tables.push({ tabulator, cells });
}

/** Let heads that sort be reached and pressed by keys; and let the part that scrolls be a group of rows, to readers. */
function byKeys(holder) {
  holder.querySelector(".tabulator-tableholder").setAttribute("role", "rowgroup");
  holder.querySelector(".tabulator-table").setAttribute("role", "presentation");
  holder.removeAttribute("aria-owns");
  for (const head of holder.querySelectorAll(".tabulator-col.tabulator-sortable")) {
    head.tabIndex = 0;
    head.addEventListener("keydown", (event) => {
      if ((event.key === "Enter" || event.key === " ") && event.target === head) {
        event.preventDefault();
        head.click();
      }
    });
  }
}

function startTables() {
  for (const table of document.querySelectorAll("table.sortable")) {
    const closed = table.closest("details:not([open])");
    if (closed) closed.addEventListener("toggle", () => enhance(table), { once: true });
    else enhance(table);
  }
  const buttons = [...document.querySelectorAll("#scale button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      scale = Number(button.dataset.scale);
      for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
      rescale(document);
      for (const { tabulator, cells } of tables) {
        for (const row of cells) for (const cell of row) rescale(cell);
        for (const row of tabulator.getRows()) row.reformat();
      }
    });
  }
  for (const box of document.querySelectorAll(".compare")) startComparison(box);
}

/** Say how far two experiments are apart, whichever are chosen. */
function startComparison(box) {
  const [one, other] = [box.querySelector(".one"), box.querySelector(".other")];
  const found = data.datasets[box.dataset.dataset].differences;
  other.selectedIndex = 1;
  const tell = () => {
    const line = box.querySelector(".difference");
    const straight = found.find((pair) => pair.one === one.value && pair.other === other.value);
    const turned = found.find((pair) => pair.one === other.value && pair.other === one.value);
    if (one.value === other.value) return line.replaceChildren("Choose two experiments.");
    if (!straight && !turned) return line.replaceChildren("They share no video.");
    const sign = straight ? 1 : -1;
    const told = ["CIDEr", "Bleu_4", "METEOR", "ROUGE_L"].map((metric) => {
      const [value, interval] = (straight || turned).cells[metric];
      const ends = interval && (sign > 0 ? interval : [-interval[1], -interval[0]]);
      const verdict = !ends ? "too few videos to tell" : ends[0] > 0 || ends[1] < 0 ? "more than chance" : "within chance";
      const range = ends ? [" [", figureSpan(ends[0], true), ", ", figureSpan(ends[1], true), "]"] : [];
      const name = metric.replace("Bleu_", "BLEU-").replace("_", "-");
      return make("span", { class: "pair" }, make("b", {}, name), " ", figureSpan(sign * value, true), ...range, `, ${verdict}`);
    });
    return line.replaceChildren(...told);
  };
  one.addEventListener("change", tell);
  other.addEventListener("change", tell);
  tell();
}

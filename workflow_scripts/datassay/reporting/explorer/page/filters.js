// Ranges of measures and classes of categories; all of them at the same time.

const BINS = 48;

function listFilters(state) {
  const place = byId("filters");
  const entries = new Map(); // column -> { element, update }

  const refresh = () => {
    for (const [column, entry] of entries) {
      if (!isListed(state, column)) {
        entry.element.remove();
        entries.delete(column);
      }
    }
    for (const column of state.filters.keys()) {
      if (!isListed(state, column) || entries.has(column)) continue;
      const entry = column.kind === "number" ? rangeFilter(state, column) : classFilter(state, column);
      entries.set(column, entry);
      place.append(entry.element);
    }
    for (const entry of entries.values()) entry.update();
    byId("reset-filters").hidden = !state.filters.size;
    byId("empty").hidden = state.shownCount > 0;
    byId("empty").firstElementChild.textContent = state.placed ? "No points match." : "No example has a value on both axes.";
    byId("empty-reset").hidden = !state.placed;
  };
  state.on("filters colour", refresh);

  const adding = byId("add-filter");
  fillSelect(adding, state.page.columns, "Add a filter…");
  adding.addEventListener("change", () => {
    const column = state.byName.get(adding.value);
    adding.value = "";
    if (column && !state.filters.has(column)) state.setFilter(column, newFilter(column));
  });
  for (const id of ["reset-filters", "empty-reset"]) byId(id).addEventListener("click", () => state.resetFilters());
  refresh();
}

const newFilter = (column) => (column.kind === "number" ? { low: null, high: null } : { hidden: new Set() });

// The legend shows the classes of the colour already.
const isListed = (state, column) => state.filters.has(column) && (column.kind === "number" || column !== state.colour);

function filterFrame(state, column, ...parts) {
  const remove = make("button", { type: "button", className: "quiet", textContent: "×", "aria-label": `Remove the filter of ${readable(column.name)}` });
  remove.addEventListener("click", () => state.setFilter(column, null));
  const head = make("div", { className: "head" }, make("span", { textContent: readable(column.name), title: column.about }), remove);
  const element = make("div", { className: "filter" }, head, ...parts);
  element.dataset.column = column.name;
  return element;
}

function classFilter(state, column) {
  const list = make("div", { className: "classes" });
  return { element: filterFrame(state, column, list), update: () => fillClasses(state, column, list) };
}

// A histogram over two sliders and two fields. A bound at the very end is no bound.
function rangeFilter(state, column) {
  const [low, high] = [percentile(column, 0), percentile(column, 1)];
  const span = high - low || 1;
  const bins = Uint8Array.from(column.values, (value) => Math.min(Math.floor(((value - low) / span) * BINS), BINS - 1));
  const canvas = make("canvas", { width: 2 * 236, height: 2 * 40 });
  const name = readable(column.name);
  const slider = (end, value) => make("input", { type: "range", min: 0, max: 1000, step: 1, value, "aria-label": `${name}, ${end}` });
  const sliders = [slider("least", 0), slider("most", 1000)];
  const field = (end) => make("input", { type: "text", inputMode: "decimal", "aria-label": `${name}, ${end}, number` });
  const fields = [field("least"), field("most")];
  const element = filterFrame(
    state, column, canvas, make("div", { className: "range" }, ...sliders), make("div", { className: "bounds" }, ...fields),
  );

  const bound = (from, to) => state.setFilter(column, { low: from <= low ? null : from, high: to >= high ? null : to });
  const current = () => {
    const filter = state.filters.get(column);
    return [filter.low ?? low, filter.high ?? high];
  };
  sliders.forEach((input, end) => input.addEventListener("input", () => {
    const chosen = current();
    const value = low + (Number(input.value) / 1000) * span;
    chosen[end] = end ? Math.max(value, chosen[0]) : Math.min(value, chosen[1]);
    bound(...chosen);
  }));
  fields.forEach((input, end) => input.addEventListener("change", () => {
    const value = Number(input.value.replace("−", "-"));
    const chosen = current();
    const valid = input.value.trim() !== "" && Number.isFinite(value);
    input.setAttribute("aria-invalid", String(!valid));
    if (!valid) return;
    chosen[end] = value;
    if (chosen[0] > chosen[1]) chosen[1 - end] = value;
    bound(...chosen);
  }));
  const update = () => {
    const chosen = current();
    chosen.forEach((value, end) => {
      sliders[end].value = Math.round(((value - low) / span) * 1000);
      if (document.activeElement !== fields[end] || fields[end].getAttribute("aria-invalid") !== "true") {
        fields[end].value = formatNumber(value).replace("−", "-");
      }
    });
    sliders[0].style.zIndex = sliders[0].value > 500 ? 1 : 0; // where both are at the right end the left one can move
    drawHistogram(canvas, column, bins, state);
  };
  return { element, update };
}

function drawHistogram(canvas, column, bins, state) {
  const all = new Uint32Array(BINS), shown = new Uint32Array(BINS);
  for (let i = 0; i < bins.length; i++) {
    if (column.values[i] !== column.values[i]) continue;
    all[bins[i]]++;
    shown[bins[i]] += state.shown[i];
  }
  // Square roots, so that a long tail stays visible beside a peak.
  const most = Math.sqrt(Math.max(...all, 1));
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  for (const [counts, colour] of [[all, "--bar"], [shown, "--bar-on"]]) {
    pen.fillStyle = style.getPropertyValue(colour);
    counts.forEach((count, bin) => {
      const tall = (Math.sqrt(count) / most) * (canvas.height - 4);
      const wide = canvas.width / BINS;
      pen.fillRect(bin * wide + 0.5, canvas.height - tall, wide - 1, tall);
    });
  }
}

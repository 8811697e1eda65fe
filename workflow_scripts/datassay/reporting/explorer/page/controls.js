// The left column and the search: which map, which colour, what the colours mean.

function fillSelect(select, columns, prompt) {
  select.replaceChildren();
  if (prompt) select.append(make("option", { value: "", textContent: prompt }));
  for (const [family, members] of Map.groupBy(columns, (column) => column.family)) {
    const options = members.map((c) => make("option", { value: c.name, textContent: readable(c.name), title: c.about }));
    select.append(make("optgroup", { label: readable(family) }, ...options));
  }
}

function listSpaces(state) {
  const place = byId("spaces");
  const axes = byId("axes");
  const [x, y] = [byId("axis-x"), byId("axis-y")];
  const choices = state.page.spaces.map((space) => ({ name: readable(space.name), position: () => ({ space }) }));
  if (state.numbers.length) {
    fillSelect(x, state.numbers);
    fillSelect(y, state.numbers);
    const first = state.firstAxes();
    [x.value, y.value] = [first.x.name, first.y.name];
    const chosen = () => ({ x: state.byName.get(x.value), y: state.byName.get(y.value) });
    choices.push({ name: "two measures", position: chosen });
    for (const select of [x, y]) select.addEventListener("change", () => state.place(chosen()));
  }
  const buttons = choices.map((choice) => {
    const button = make("button", { type: "button", role: "radio", textContent: choice.name });
    button.addEventListener("click", () => state.place(choice.position()));
    place.append(button);
    return button;
  });
  const refresh = () => {
    const now = state.position.space ? state.page.spaces.indexOf(state.position.space) : choices.length - 1;
    buttons.forEach((button, i) => button.setAttribute("aria-checked", String(i === now)));
    axes.hidden = Boolean(state.position.space);
    const left = state.page.n - state.placed;
    byId("note").hidden = !left && state.page.n === state.page.total;
    byId("note").textContent = [
      state.page.n < state.page.total
        ? `A sample of ${formatCount(state.page.n)} of ${formatCount(state.page.total)} rows, by label.` : "",
      left ? `${formatCount(left)} without a value here.` : "",
    ].join(" ");
  };
  state.on("position", refresh);
  refresh();
}

function listColours(state) {
  const select = byId("colour");
  fillSelect(select, state.page.columns);
  select.value = state.colour.name;
  select.addEventListener("change", () => {
    state.colour = state.byName.get(select.value);
    state.emphasis = null;
    state.changed("colour");
  });
  const legend = byId("legend");
  const refresh = () => {
    legend.replaceChildren();
    const column = state.colour;
    if (column.about) legend.append(make("p", { className: "about", textContent: column.about }));
    if (column.kind === "number") return drawScale(legend, column);
    const list = make("div", { className: "classes" });
    legend.append(list);
    fillClasses(state, column, list);
  };
  state.on("colour", refresh);
  state.on("filters", () => {
    const list = legend.querySelector(".classes");
    if (list) fillClasses(state, state.colour, list);
  });
  refresh();
}

function drawScale(place, column) {
  const canvas = make("canvas", { className: "scale", width: 256, height: 1 });
  const pen = canvas.getContext("2d");
  scaleTable().forEach((colour, i) => {
    pen.fillStyle = cssOf(colour);
    pen.fillRect(i, 0, 1, 1);
  });
  const [low, high] = robustRange(column);
  const sign = (mark, beyond, value) => (beyond ? mark + " " : "") + formatNumber(value);
  const ends = make(
    "div", { className: "ends", title: "2nd to 98th percentile" },
    make("span", { textContent: sign("≤", percentile(column, 0) < low, low) }),
    make("span", { textContent: formatNumber((low + high) / 2) }),
    make("span", { textContent: sign("≥", percentile(column, 1) > high, high) }),
  );
  const none = column.values.length - sorted(column).length;
  place.append(canvas, ends);
  if (none) place.append(make("p", { className: "about", textContent: `grey: ${formatCount(none)} without a value` }));
}

// One button per class: click hides or shows it, pointing at it brings its points out.
function fillClasses(state, column, list) {
  const hidden = state.filters.get(column)?.hidden || new Set();
  if (list.column !== column) {
    list.column = column;
    const counts = new Map();
    for (const code of column.values) counts.set(code, (counts.get(code) || 0) + 1);
    const codes = [...counts.keys()].sort((a, b) => a - b);
    list.replaceChildren(...codes.map((code) => classButton(state, column, code, counts.get(code))));
  }
  const coloured = column === state.colour;
  for (const button of list.children) {
    const code = Number(button.dataset.code);
    button.setAttribute("aria-pressed", String(!hidden.has(code)));
    button.firstChild.style.background = coloured ? cssOf(classColour(code)) : "var(--bar)";
  }
}

function classButton(state, column, code, count) {
  const name = code === MISSING ? "not known" : column.names[code];
  const button = make(
    "button", { type: "button", title: name }, make("i"), make("span", { textContent: name }),
    make("b", { textContent: formatCount(count) }),
  );
  button.dataset.code = code;
  button.addEventListener("click", () => {
    const hidden = new Set(state.filters.get(column)?.hidden);
    if (!hidden.delete(code)) hidden.add(code);
    state.setFilter(column, hidden.size || column !== state.colour ? { hidden } : null);
  });
  const emphasise = (value) => () => {
    if (column !== state.colour || state.emphasis === value) return;
    state.emphasis = value;
    state.changed("emphasis");
  };
  button.addEventListener("pointerenter", emphasise(code));
  button.addEventListener("pointerleave", emphasise(null));
  return button;
}

function search(state, plot) {
  const [query, hits, previous, next, take] = ["query", "hits", "previous", "next", "select-hits"].map(byId);
  const { content } = state.page;
  let haystack = null;
  let at = -1;
  const find = () => {
    const wanted = query.value.trim().toLowerCase();
    haystack ||= content.example_id.map((id, row) =>
      [id, content.text?.[row], content.text_b?.[row], ...(content.options?.[row] || [])].join("\n").toLowerCase());
    const found = [];
    if (wanted) haystack.forEach((text, row) => state.shown[row] && text.includes(wanted) && found.push(row));
    state.hits = found.length ? found : null;
    at = -1;
    hits.value = wanted ? `${formatCount(found.length)} found` : "";
    for (const button of [previous, next, take]) button.disabled = !found.length;
    state.changed("hits");
  };
  const jump = (step) => {
    if (!state.hits) return;
    at = at < 0 && step < 0 ? state.hits.length - 1 : (at + step + state.hits.length) % state.hits.length;
    hits.value = `${formatCount(at + 1)} of ${formatCount(state.hits.length)}`;
    plot.jumpTo(state.hits[at]);
    state.pin(state.hits[at]);
  };
  let waiting = 0;
  query.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(find, 120);
  });
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    jump(1);
  });
  query.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      jump(-1);
    }
  });
  previous.addEventListener("click", () => jump(-1));
  take.addEventListener("click", () => state.select(state.hits, "replace"));
  state.on("filters", () => query.value.trim() && find());
}

// The chosen examples as a list and as csv, and the card of one example.

const ROW_HEIGHT = 56;

function listSelection(state, plot) {
  const [list, space, sort, direction] = ["list", "list-space", "sort", "direction"].map(byId);
  fillSelect(sort, state.page.columns, "order of the file");
  let rows = [];
  let descending = false;

  const show = () => {
    const first = Math.max(Math.floor(list.scrollTop / ROW_HEIGHT) - 4, 0);
    const last = Math.min(Math.ceil((list.scrollTop + list.clientHeight) / ROW_HEIGHT) + 4, rows.length);
    const column = state.byName.get(sort.value) || null;
    const focused = document.activeElement?.dataset?.row;
    space.replaceChildren(...rows.slice(first, last).map((row, i) => listRow(state, plot, row, first + i, column)));
    if (focused) space.querySelector(`[data-row="${focused}"]`)?.focus({ preventScroll: true });
  };
  const refresh = () => {
    const column = state.byName.get(sort.value);
    rows = sortedRows(state, column, descending);
    const any = rows.length > 0;
    byId("selected-count").textContent = any ? `${formatCount(rows.length)} selected` : "Selection";
    byId("selection-hint").hidden = any;
    byId("sorting").hidden = list.hidden = !any;
    byId("export").disabled = byId("clear").disabled = !any;
    space.style.height = rows.length * ROW_HEIGHT + "px";
    show();
  };
  list.addEventListener("scroll", () => requestAnimationFrame(show));
  new ResizeObserver(show).observe(list);
  sort.addEventListener("change", () => {
    list.scrollTop = 0;
    refresh();
  });
  direction.addEventListener("click", () => {
    descending = !descending;
    direction.textContent = descending ? "↓" : "↑";
    refresh();
  });
  byId("clear").addEventListener("click", () => state.select([], "replace"));
  byId("export").addEventListener("click", () => download(`${state.page.name}_selected.csv`, csvOf(state, rows)));
  state.on("selection colour", refresh);
  state.on("card", show);
}

// In the order of the file, or by a column; equal and missing ones in the order of the file, missing ones last.
function sortedRows(state, column, descending) {
  const rows = [];
  state.selected.forEach((one, row) => one && rows.push(row));
  if (!column) return descending ? rows.reverse() : rows;
  const missing = (row) => (column.kind === "number" ? column.values[row] !== column.values[row] : column.values[row] === MISSING);
  const sign = descending ? -1 : 1;
  return rows.sort((a, b) => missing(a) - missing(b) || (missing(a) ? 0 : sign * (column.values[a] - column.values[b])) || a - b);
}

function listRow(state, plot, row, place, column) {
  const { page } = state;
  const { text, text_b: second, example_id: ids } = page.content;
  const said = text ? [text[row], second?.[row]].filter(Boolean).join("  |  ") : ids[row];
  const button = make("button", { type: "button", className: row === state.pinned ? "row current" : "row", title: ids[row] });
  button.dataset.row = row;
  button.style.top = place * ROW_HEIGHT + "px";
  if (page.images) button.append(thumbnail(page, row, 42));
  const colour = make("i");
  colour.style.background = cssOf(plot.colours[row]);
  const [label, predicted] = ["label", "predicted_label"].map((name) => state.byName.get(name));
  const named = [label, predicted].filter(Boolean).map((c) => valueText(c, row));
  const same = named[0] === named[1];
  button.append(
    make("span", { className: "said", textContent: said }),
    make("span", { className: "named" }, colour, same ? named[0] : named.join(" → predicted ")),
    make("span", { className: "value", textContent: column ? valueText(column, row) : "" }),
  );
  button.addEventListener("click", () => {
    if (state.shown[row]) plot.bringIn(row);
    state.pin(row);
  });
  return button;
}

// RFC 4180. What a spreadsheet would run as a formula gets an apostrophe, as in every csv of Datassay.
const FORMULA = /^'*[=+\-@\t\r](?!(?<=[+-])\d+(\.\d*)?$)/;

function csvField(text) {
  const safe = FORMULA.test(text) ? "'" + text : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csvOf(state, rows) {
  const label = state.byName.get("label");
  const named = (row) => (label.kind === "number" ? (Number.isFinite(label.values[row]) ? String(label.values[row]) : "")
    : label.values[row] === MISSING ? "" : label.names[label.values[row]]);
  const lines = rows.map((row) => [state.page.content.example_id[row], ...(label ? [named(row)] : [])]);
  return [["example_id", ...(label ? ["label"] : [])], ...lines].map((line) => line.map(csvField).join(",") + "\r\n").join("");
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// The card beside the point under the pointer; a click keeps it.
function showCard(state, plot) {
  const card = byId("card");
  const refresh = () => {
    const row = state.pinned >= 0 ? state.pinned : state.hovered;
    card.hidden = row < 0;
    if (row < 0) return;
    card.className = state.pinned >= 0 ? "pinned" : "";
    card.replaceChildren(...cardParts(state, row));
    placeCard(card, plot, row);
  };
  state.on("card colour", refresh);
}

function cardParts(state, row) {
  const { page } = state;
  const { content } = page;
  const close = make("button", { type: "button", className: "quiet", textContent: "close", title: "Esc" });
  close.addEventListener("click", () => state.pin(-1));
  const top = make("div", { className: "top" }, make("bdi", { className: "id", textContent: content.example_id[row] }));
  if (state.pinned >= 0) top.append(close);
  const names = state.byName.get("label")?.names ?? []; // what labels call the options
  const options = content.options?.[row].map((option, i) => `${names[i] ?? i}  ${option}`).join("\n");
  const said = [content.text?.[row], content.text_b?.[row], options].filter((text) => text !== undefined);
  const facts = make("dl", { className: "facts" });
  for (const column of page.columns) {
    if (column.kind !== "category" || (column.values[row] === MISSING && column !== state.colour)) continue;
    const value = make("dd", {}, valueText(column, row));
    if (column === state.colour) {
      const dot = make("i");
      dot.style.background = cssOf(classColour(column.values[row]));
      value.prepend(dot);
    }
    facts.append(make("dt", { textContent: readable(column.name) }), value);
  }
  const words = said.map((text) => make("p", { className: "content", dir: "auto", textContent: text }));
  const body = page.images
    ? [make("div", { className: "body" }, thumbnail(page, row, 112), make("div", {}, ...words, facts))]
    : [make("div", {}, ...words), facts];
  return [top, ...body, measureList(state, row)];
}

function measureList(state, row) {
  const values = make("dl", { className: "values" });
  for (const [family, columns] of Map.groupBy(state.numbers, (column) => column.family)) {
    values.append(make("h3", { textContent: readable(family) }));
    for (const column of columns) {
      const entry = make(
        "div", { title: column.about }, make("dt", { textContent: readable(column.name) }),
        make("dd", { textContent: valueText(column, row) }),
      );
      if (column === state.colour) entry.className = "used";
      values.append(entry);
    }
  }
  return values;
}

function placeCard(card, plot, row) {
  const [x, y] = [plot.x[row] / plot.ratio, plot.y[row] / plot.ratio];
  const { offsetWidth: wide, offsetHeight: tall } = card;
  const [width, height] = [plot.stage.clientWidth, plot.stage.clientHeight];
  const left = x + 20 + wide < width - 12 ? x + 20 : x - 20 - wide;
  card.style.left = Math.max(12, Math.min(left, width - wide - 12)) + "px";
  card.style.top = Math.max(12, Math.min(y - tall / 3, height - tall - 12)) + "px";
}

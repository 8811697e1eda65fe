// What the user has chosen, and which points follow from it. Parts of the page listen to the kinds of change:
// position, colour, filters, selection, hits, card, emphasis.

class State {
  constructor(page) {
    this.page = page;
    this.byName = new Map(page.columns.map((column) => [column.name, column]));
    this.numbers = page.columns.filter((column) => column.kind === "number");
    this.position = page.spaces.length ? { space: page.spaces[0] } : this.firstAxes();
    this.colour = this.byName.get("suspicion") || this.byName.get("label") || page.columns[0];
    this.filters = new Map();
    this.shown = new Uint8Array(page.n).fill(1);
    this.selected = new Uint8Array(page.n);
    this.selectedCount = 0;
    this.hits = null;
    this.hovered = this.pinned = -1;
    this.emphasis = null;
    this.listeners = [];
    this.order = shuffledRows(page.n);
    this.refilter();
  }

  on(kinds, listener) {
    this.listeners.push([kinds.split(" "), listener]);
  }

  changed(...kinds) {
    for (const [heard, listener] of this.listeners) if (kinds.some((kind) => heard.includes(kind))) listener();
  }

  // Two columns that make a data map where they are there, else the first two.
  firstAxes() {
    const x = this.byName.get("variability") || this.numbers[0];
    const y = this.byName.get("avg_conf") || this.numbers[1] || x;
    return { x, y };
  }

  coordinates() {
    const { space, x, y } = this.position;
    return space ? { x: space.x, y: space.y } : { x: x.values, y: y.values };
  }

  place(position) {
    this.position = position;
    this.refilter();
    this.changed("position", "filters");
  }

  setFilter(column, filter) {
    if (filter) this.filters.set(column, filter);
    else this.filters.delete(column);
    this.refilter();
    this.changed("filters");
  }

  resetFilters() {
    this.filters.clear();
    this.refilter();
    this.changed("filters");
  }

  // A point is shown if it has a place on the map and passes every filter.
  refilter() {
    const { shown, page } = this;
    const { x, y } = this.coordinates();
    this.placed = 0;
    for (let i = 0; i < page.n; i++) this.placed += shown[i] = Number.isFinite(x[i]) && Number.isFinite(y[i]) ? 1 : 0;
    for (const [{ values }, filter] of this.filters) {
      if (filter.hidden) {
        if (filter.hidden.size) for (let i = 0; i < page.n; i++) if (filter.hidden.has(values[i])) shown[i] = 0;
      } else if (filter.low !== null || filter.high !== null) {
        const low = filter.low ?? -Infinity, high = filter.high ?? Infinity;
        for (let i = 0; i < page.n; i++) if (!(values[i] >= low && values[i] <= high)) shown[i] = 0;
      }
    }
    this.shownCount = shown.reduce((sum, one) => sum + one, 0);
  }

  // mode: replace, add or subtract. Only what is shown can be selected.
  select(rows, mode) {
    if (mode === "replace") this.selected.fill(0);
    for (const row of rows) if (this.shown[row]) this.selected[row] = mode === "subtract" ? 0 : 1;
    this.selectedCount = this.selected.reduce((sum, one) => sum + one, 0);
    this.changed("selection");
  }

  hover(row) {
    if (row === this.hovered) return;
    this.hovered = row;
    this.changed("card");
  }

  pin(row) {
    this.pinned = row;
    this.hovered = -1;
    this.changed("card");
  }
}

// Points are drawn in a random order, always the same, so that no class hides another by its place in the file.
function shuffledRows(n) {
  const rows = Uint32Array.from({ length: n }, (_, i) => i);
  let seed = 1;
  for (let i = n - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((seed / 2 ** 32) * (i + 1));
    [rows[i], rows[j]] = [rows[j], rows[i]];
  }
  return rows;
}

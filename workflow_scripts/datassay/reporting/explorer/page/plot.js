// The map: where points are on the screen, how they are drawn, and what the pointer does to them.

const EDGES = { left: 30, right: 30, top: 66, bottom: 30 }; // pixels around the points when everything is in view
const AXIS_ROOM = { left: 28, bottom: 26 }; // and more of them where there are axes
const REACH = 12; // how far from a point the pointer still finds it
const GROUND = { light: "#ffffff", dark: "#14171e" };
const GHOST = { light: "#e4e7ec", dark: "#262b35" };
const INK = { light: "#1f2430", dark: "#ffffff" };

class Plot {
  constructor(state) {
    this.state = state;
    this.stage = byId("stage");
    this.raster = new Raster(byId("points"));
    this.overlay = byId("overlay");
    this.pen = this.overlay.getContext("2d");
    this.x = new Float32Array(state.page.n);
    this.y = new Float32Array(state.page.n);
    this.groups = { ghosts: [], weak: [], strong: [] };
    this.tool = "pan";
    this.path = null;
    this.recolour();
    this.regroup();
    this.reset();
    new ResizeObserver(() => this.resize()).observe(this.stage);
    state.on("position", () => this.reset());
    state.on("colour", () => this.recolour());
    state.on("filters selection hits emphasis colour", () => this.regroup());
    state.on("position colour filters selection hits emphasis card", () => this.redraw());
    DARK.addEventListener("change", () => state.changed("colour"));
  }

  resize() {
    this.ratio = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth, clientHeight } = this.stage;
    if (!clientWidth || !clientHeight) return;
    this.width = Math.round(clientWidth * this.ratio);
    this.height = Math.round(clientHeight * this.ratio);
    this.raster.resize(this.width, this.height);
    Object.assign(this.overlay, { width: this.width, height: this.height });
    this.draw();
  }

  recolour() {
    this.colours = pointColours(this.state.colour, this.state.page.n);
  }

  // Which points are drawn how: filtered out, in the background, or in full.
  regroup() {
    const { state } = this;
    const { x, y } = state.coordinates();
    const { colour, emphasis } = state;
    const hits = state.hits && new Set(state.hits);
    const strong = emphasis !== null ? (row) => colour.values[row] === emphasis
      : hits ? (row) => hits.has(row) : state.selectedCount ? (row) => state.selected[row] : () => true;
    const groups = { ghosts: [], weak: [], strong: [] };
    for (const row of state.order) {
      if (state.shown[row]) groups[strong(row) ? "strong" : "weak"].push(row);
      else if (Number.isFinite(x[row]) && Number.isFinite(y[row])) groups.ghosts.push(row);
    }
    for (const [name, rows] of Object.entries(groups)) this.groups[name] = Uint32Array.from(rows);
    this.shownRows = groups.weak.concat(groups.strong);
    this.grid = null;
  }

  reset() {
    const { x, y } = this.state.coordinates();
    const box = { left: Infinity, right: -Infinity, low: Infinity, high: -Infinity };
    for (let i = 0; i < x.length; i++) {
      if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) continue;
      box.left = Math.min(box.left, x[i]);
      box.right = Math.max(box.right, x[i]);
      box.low = Math.min(box.low, y[i]);
      box.high = Math.max(box.high, y[i]);
    }
    this.box = box;
    this.view = { zoom: 1, right: 0, down: 0 };
    this.redraw();
  }

  // Screen = (value - middle) * scale + shift, in device pixels; a map keeps its proportions, axes fill the room.
  transform() {
    const { box, view, ratio, width, height } = this;
    const flat = !this.state.position.space;
    const left = (EDGES.left + (flat ? AXIS_ROOM.left : 0)) * ratio;
    const bottom = (EDGES.bottom + (flat ? AXIS_ROOM.bottom : 0)) * ratio;
    const wide = Math.max(width - left - EDGES.right * ratio, 1);
    const tall = Math.max(height - bottom - EDGES.top * ratio, 1);
    let across = wide / (box.right - box.left || 1);
    let up = tall / (box.high - box.low || 1);
    if (!flat) across = up = Math.min(across, up);
    return {
      across: across * view.zoom, up: -up * view.zoom,
      x: (box.left + box.right) / 2, y: (box.low + box.high) / 2,
      right: left + wide / 2 + view.right * ratio, down: EDGES.top * ratio + tall / 2 + view.down * ratio,
    };
  }

  project() {
    const { x, y } = this.state.coordinates();
    const t = this.transform();
    for (let i = 0; i < x.length; i++) {
      this.x[i] = (x[i] - t.x) * t.across + t.right;
      this.y[i] = (y[i] - t.y) * t.up + t.down;
    }
    this.grid = null;
  }

  radius() {
    const few = 5.2 - 0.55 * Math.log2(Math.max(this.state.page.n, 250) / 500);
    const size = Math.max(few, 1.5) * Math.min(Math.max(this.view.zoom, 0.7) ** 0.35, 3.2) * this.ratio;
    return Math.round(Math.min(size, 9 * this.ratio) * 4) / 4;
  }

  redraw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.pending);
    this.pending = 0;
    if (!this.width) return;
    this.project();
    const { raster, x, y, colours } = this;
    const { ghosts, weak, strong } = this.groups;
    const radius = this.radius();
    const opacity = this.state.page.n > 20000 ? 0.7 : 0.85;
    raster.clear(pixelOf(GROUND[theme()]));
    raster.discs(ghosts, x, y, pixelOf(GHOST[theme()]), Math.max(radius - this.ratio, 1), 0.6);
    raster.discs(weak, x, y, colours, radius, 0.14);
    raster.discs(strong, x, y, colours, weak.length ? radius + 0.5 * this.ratio : radius, opacity);
    raster.present();
    this.drawOverlay(radius);
  }

  drawOverlay(radius) {
    const { pen, ratio, state } = this;
    pen.clearRect(0, 0, this.width, this.height);
    if (!state.position.space) this.drawAxes();
    pen.strokeStyle = INK[theme()];
    for (const [row, line] of [[state.pinned, 2], [state.hovered, 1.5]]) {
      if (row < 0 || !state.shown[row]) continue;
      pen.lineWidth = line * ratio;
      pen.beginPath();
      pen.arc(this.x[row], this.y[row], radius + 2.5 * ratio, 0, 2 * Math.PI);
      pen.stroke();
    }
    if (!this.path) return;
    pen.lineWidth = 1.2 * ratio;
    pen.setLineDash([5 * ratio, 4 * ratio]);
    pen.beginPath();
    for (const [x, y] of this.path) pen.lineTo(x, y);
    pen.closePath();
    pen.fillStyle = DARK.matches ? "rgb(111 183 227 / 14%)" : "rgb(0 114 178 / 9%)";
    pen.fill();
    pen.stroke();
    pen.setLineDash([]);
  }

  drawAxes() {
    const { pen, ratio, width, height, state } = this;
    const t = this.transform();
    const soft = DARK.matches ? "#9aa4b4" : "#667085";
    pen.font = `${11 * ratio}px system-ui, sans-serif`;
    const write = (text, x, y, align) => {
      pen.textAlign = align;
      pen.lineWidth = 3 * ratio;
      pen.strokeStyle = GROUND[theme()];
      pen.strokeText(text, x, y);
      pen.fillStyle = soft;
      pen.fillText(text, x, y);
    };
    pen.textBaseline = "middle";
    for (const value of ticks((0 - t.right) / t.across + t.x, (width - t.right) / t.across + t.x, width / ratio / 90)) {
      const x = (value - t.x) * t.across + t.right;
      if (x > 60 * ratio && x < width - 20 * ratio) write(tickText(value), x, height - 26 * ratio, "center");
    }
    for (const value of ticks((height - t.down) / t.up + t.y, (0 - t.down) / t.up + t.y, height / ratio / 60)) {
      const y = (value - t.y) * t.up + t.down;
      if (y > 60 * ratio && y < height - 44 * ratio) write(tickText(value), 8 * ratio, y, "left");
    }
    pen.font = `600 ${12 * ratio}px system-ui, sans-serif`;
    write(readable(state.position.x.name) + " →", width - 14 * ratio, height - 10 * ratio, "right");
    write("↑ " + readable(state.position.y.name), 12 * ratio, 60 * ratio, "left");
  }

  zoomBy(factor, at) {
    const { view, ratio } = this;
    const next = Math.min(Math.max(view.zoom * factor, 0.5), 5000);
    const t = this.transform();
    const [x, y] = at || [this.width / 2, this.height / 2];
    const grown = next / view.zoom;
    view.right += ((x - t.right) * (1 - grown)) / ratio;
    view.down += ((y - t.down) * (1 - grown)) / ratio;
    view.zoom = next;
    this.redraw();
  }

  moveBy(right, down) {
    this.view.right += right;
    this.view.down += down;
    this.redraw();
  }

  // Bring a point to the middle, at least a little enlarged.
  jumpTo(row) {
    this.view.zoom = Math.max(this.view.zoom, 2.5);
    this.project();
    this.moveBy((this.width / 2 - this.x[row]) / this.ratio, (this.height / 2 - this.y[row]) / this.ratio);
    this.draw();
  }

  bringIn(row) {
    const [x, y, margin] = [this.x[row], this.y[row], 20 * this.ratio];
    if (x < margin || y < margin || x > this.width - margin || y > this.height - margin) this.jumpTo(row);
  }

  nearest(x, y) {
    this.grid ||= new Grid(this.shownRows, this.x, this.y, this.width, this.height, 2 * REACH * this.ratio);
    return this.grid.nearest(x, y, REACH * this.ratio);
  }

  // The shown points inside a closed path (even-odd rule, so that a lasso may cross itself).
  inside(path) {
    const [left, right] = [Math.min(...path.map((p) => p[0])), Math.max(...path.map((p) => p[0]))];
    const [top, bottom] = [Math.min(...path.map((p) => p[1])), Math.max(...path.map((p) => p[1]))];
    return this.shownRows.filter((row) => {
      const x = this.x[row], y = this.y[row];
      if (x < left || x > right || y < top || y > bottom) return false;
      let within = false;
      for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
        const [[ax, ay], [bx, by]] = [path[i], path[j]];
        if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
      }
      return within;
    });
  }
}

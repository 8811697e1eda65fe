// Pointer, wheel and keys, and the start.

function followPointer(state, plot) {
  const { overlay } = plot;
  let drag = null;
  const at = (event) => [event.offsetX * plot.ratio, event.offsetY * plot.ratio];

  overlay.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    overlay.setPointerCapture(event.pointerId);
    const panning = plot.tool === "pan" || event.button === 1;
    drag = { start: at(event), last: [event.offsetX, event.offsetY], panning, moved: false };
    state.hover(-1);
  });
  overlay.addEventListener("pointermove", (event) => {
    const here = at(event);
    if (!drag) {
      const row = plot.nearest(...here);
      overlay.classList.toggle("hit", row >= 0);
      if (state.pinned < 0) state.hover(row);
      return;
    }
    if (!drag.moved && Math.hypot(here[0] - drag.start[0], here[1] - drag.start[1]) < 4 * plot.ratio) return;
    drag.moved = true;
    if (drag.panning) {
      overlay.classList.add("moving");
      plot.moveBy(event.offsetX - drag.last[0], event.offsetY - drag.last[1]);
      drag.last = [event.offsetX, event.offsetY];
      return;
    }
    const [x, y] = drag.start;
    if (plot.tool === "box") plot.path = [[x, y], [here[0], y], here, [x, here[1]]];
    else plot.path = [...(plot.path || [drag.start]), here];
    plot.redraw();
  });
  const finish = (event) => {
    if (!drag) return;
    const { moved, panning, start } = drag;
    drag = null;
    overlay.classList.remove("moving");
    if (!moved) state.pin(plot.nearest(...start));
    else if (!panning && plot.path) {
      const mode = event.altKey ? "subtract" : event.shiftKey ? "add" : "replace";
      const rows = plot.inside(plot.path);
      plot.path = null;
      state.select(rows, mode);
    }
  };
  overlay.addEventListener("pointerup", finish);
  overlay.addEventListener("pointercancel", () => {
    drag = plot.path = null;
    plot.redraw();
  });
  overlay.addEventListener("pointerleave", () => !drag && state.hover(-1));
  overlay.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : 1;
    plot.zoomBy(Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.002), at(event));
    state.hover(-1);
  }, { passive: false });
}

function chooseTool(plot, tool) {
  plot.tool = tool;
  plot.overlay.dataset.tool = tool;
  for (const button of document.querySelectorAll("[data-tool]")) {
    if (button !== plot.overlay) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  }
}

function listenToKeys(state, plot) {
  const onMap = {
    ArrowLeft: () => plot.moveBy(60, 0), ArrowRight: () => plot.moveBy(-60, 0),
    ArrowUp: () => plot.moveBy(0, 60), ArrowDown: () => plot.moveBy(0, -60),
    "+": () => plot.zoomBy(1.4), "=": () => plot.zoomBy(1.4), "-": () => plot.zoomBy(1 / 1.4), 0: () => plot.reset(),
    v: () => chooseTool(plot, "pan"), b: () => chooseTool(plot, "box"), l: () => chooseTool(plot, "lasso"),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, select");
    if (event.key === "Escape") return escape(state, plot);
    if (typing) return;
    if (event.key === "/") {
      event.preventDefault();
      byId("query").focus();
    } else if ((event.ctrlKey || event.metaKey) && event.key === "a") {
      event.preventDefault();
      state.select(plot.shownRows, "replace");
    } else if (!event.ctrlKey && !event.metaKey && !event.altKey && event.key in onMap && event.target.closest("#list, .classes") === null) {
      event.preventDefault();
      onMap[event.key]();
    }
  });
}

function escape(state, plot) {
  if (plot.path) plot.path = null;
  else if (state.pinned >= 0) return state.pin(-1);
  else if (byId("query").value) {
    byId("query").value = "";
    byId("query").dispatchEvent(new Event("input"));
  } else if (state.selectedCount) state.select([], "replace");
  plot.redraw();
}

function countPoints(state) {
  const refresh = () => {
    const all = formatCount(state.page.n);
    byId("count").textContent = state.shownCount === state.page.n
      ? `${all} examples` : `${formatCount(state.shownCount)} of ${all} examples`;
  };
  state.on("filters position", refresh);
  refresh();
}

async function start() {
  const page = await loadPage();
  if (!page.n) {
    byId("count").textContent = "No train rows: there is nothing to show.";
    return;
  }
  const state = new State(page);
  const plot = new Plot(state);
  plot.resize();
  listSpaces(state);
  listColours(state);
  listFilters(state);
  listSelection(state, plot);
  showCard(state, plot);
  search(state, plot);
  followPointer(state, plot);
  listenToKeys(state, plot);
  chooseTool(plot, "pan");
  for (const button of document.querySelectorAll("button[data-tool]")) button.addEventListener("click", () => chooseTool(plot, button.dataset.tool));
  byId("zoom-in").addEventListener("click", () => plot.zoomBy(1.5));
  byId("zoom-out").addEventListener("click", () => plot.zoomBy(1 / 1.5));
  byId("zoom-reset").addEventListener("click", () => plot.reset());
  countPoints(state);
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  byId("count").textContent = `This page cannot be shown: ${error.message}`;
  throw error;
});

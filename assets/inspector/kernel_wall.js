import { any, drawKernel, fitCanvas, make, setFont, setText } from "./drawing.js";
import { absenceOf, isOneForAll } from "./mixing.js";
import { kernelRange, sortedGroups } from "./statistics.js";
import { number, percent } from "./texts.js";

// The dynamic kernel of every group at the pointed token; for attention, every head's row.

const GAP = 8;
const LABEL = { page: 10, projected: 15 }; // pixels
const ROW = 8; // kernels that a row should hold, however narrow

export function makeKernelWall(app) {
  const { state, scales, texts } = app;
  const frameNode = app.part("wall-frame");
  const canvas = app.part("wall");
  const title = app.part("wall-title");
  const note = app.part("wall-note");
  const tools = app.part("wall-tools");
  const legend = app.part("wall-legend");
  const high = app.part("wall-high");
  const nothing = app.part("wall-nothing");
  let cells = { columns: 1, size: 30, groups: [] };
  let box = null;

  app.part("wall-order").addEventListener("change", (event) => state.set({ order: event.target.value }));
  app.part("wall-everywhere").addEventListener("click", () => {
    state.set({ colouring: state.colouring === "glyphs" ? "none" : "glyphs" });
  });
  canvas.addEventListener("click", (event) => {
    const bounds = canvas.getBoundingClientRect();
    pick(event.clientX - bounds.left, event.clientY - bounds.top);
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -cells.columns, ArrowDown: cells.columns }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    if (state.block.groups) {
      const at = cells.groups.indexOf(state.group) + step;
      if (at >= 0 && at < cells.groups.length) state.set({ group: cells.groups[at], slot: 0 });
    } else if (state.block.heads) {
      const head = (state.head ?? -1) + Math.sign(step);
      state.set({ head: head < 0 || head >= state.block.heads ? null : head });
    }
  });

  function pick(x, y) {
    const col = Math.floor(x / (cells.size + GAP));
    const row = Math.floor(y / (cells.height + GAP));
    const index = row * cells.columns + col;
    if (col >= cells.columns || index < 0 || index >= cells.groups.length) return;
    const choice = cells.groups[index];
    if (state.block.groups) state.set({ group: choice, slot: 0 });
    else state.set({ head: state.head === choice ? null : choice });
  }

  function arrange() {
    const { block } = state;
    const width = frameNode.clientWidth;
    const count = block.groups || block.heads;
    const wanted = block.groups ? wantedSize(count, block.side, width) : 150;
    const fitting = Math.min(count, Math.max(1, Math.floor((width + GAP) / (wanted + GAP))));
    const columns = fullRows(count, fitting);
    const size = Math.min(Math.floor((width + GAP) / columns - GAP), block.groups ? 90 : 190);
    const aspect = block.groups ? 1 : block.rows / block.cols;
    const height = size * aspect + labelSize() + 3;
    const rows = Math.ceil(count / columns);
    cells = { columns, size, height, groups: Array.from({ length: count }, (_, i) => i) };
    return { width: columns * (size + GAP), height: rows * (height + GAP) };
  }

  const labelSize = () => (state.present ? LABEL.projected : LABEL.page);

  /** Pixels of a kernel on the wall: fewer the more there are, and enough for each of its taps to be seen. */
  function wantedSize(count, side, width) {
    const size = state.present ? 60 : count > 96 ? 28 : count > 40 ? 40 : count > 24 ? 46 : count > 12 ? 54 : 76;
    return Math.max(Math.min(size, Math.floor(width / Math.min(count, ROW)) - GAP), 8 * side);
  }

  /** About as many columns as fit, so that all rows are full where that is possible. */
  function fullRows(count, fitting) {
    for (let columns = Math.min(count, fitting + 2); columns >= 0.75 * fitting; columns--) {
      if (count % columns === 0) return columns;
    }
    return fitting;
  }

  function describe() {
    const { block } = state;
    const dynamic = block.groups > 0;
    tools.hidden = !dynamic;
    legend.hidden = !dynamic && !block.heads;
    app.part("wall-bar").style.backgroundImage = scales[dynamic ? "diverging" : "sequential"].gradient;
    app.part("wall-scale").hidden = app.part("wall-everywhere").hidden = !dynamic;
    canvas.hidden = !dynamic && !block.heads;
    nothing.hidden = dynamic || block.heads > 0;
    const attends = block.kind === "msa" || block.kind === "attention";
    const [own, values] = dynamic || block.heads ? ["", {}] : absenceOf(block);
    const picture = isOneForAll(block);
    title.textContent = texts.say(
      dynamic ? (picture ? "wall.pictureTitle" : "wall.title") : attends ? "wall.attention" : "wall.fixed",
    );
    const present = block.heads ? "wall.attentionNote" : picture ? "wall.pictureNote" : "wall.note";
    const { groups, heads, tokens, side } = block;
    note.textContent = texts.say(own || present, { groups, heads, tokens, side, ...values });
    if (dynamic) {
      const range = kernelRange(block);
      app.part("wall-low").textContent = number(-range, 2);
      high.textContent = `+${number(range, 2)}`;
    }
    if (block.heads) app.part("wall-low").textContent = "0";
    nothing.replaceChildren();
    if (!nothing.hidden) {
      const nearest = app.nearestBlock((other) => other.groups > 0) ?? app.nearestBlock((other) => other.heads > 0);
      if (nearest) {
        const where = { ls: "wall.goLs", dynamic: "wall.goDynamic" }[nearest.kind] ?? "wall.goAttention";
        const button = make("button", "lsx-button lsx-primary", texts.say(where, { block: nearest.name }));
        button.type = "button";
        button.addEventListener("click", () => {
          app.goTo(nearest.index);
          app.part("picture-upper").focus({ preventScroll: true }); // the button goes
        });
        nothing.append(button);
      }
    }
  }

  function drawKernels(pen) {
    const { block } = state;
    const token = app.tokenIndex(state.token);
    const range = kernelRange(block);
    cells.groups = sortedGroups(block, token, state.order);
    setFont(pen, `${labelSize()}px ${app.theme.font}`);
    pen.textAlign = "center";
    pen.textBaseline = "top";
    cells.groups.forEach((group, i) => {
      const x = (i % cells.columns) * (cells.size + GAP) + 3;
      const y = Math.floor(i / cells.columns) * (cells.height + GAP) + 3;
      const size = cells.size - 6;
      const chosen = group === state.group;
      drawKernel(pen, block.kernelAt(token, group), x, y, size, range, scales.diverging.css);
      pen.strokeStyle = chosen ? app.neutral("accent") : app.neutral("line");
      pen.lineWidth = chosen ? 3 : 1;
      const out = chosen ? 2 : 0.5;
      pen.strokeRect(x - out, y - out, size + 2 * out, size + 2 * out);
      pen.fillStyle = app.neutral(chosen ? "text" : "muted");
      pen.fillText(String(group), x + size / 2, y + size + 4);
    });
  }

  function drawHeads(pen) {
    const { block } = state;
    const token = app.tokenIndex(state.token);
    const rows = Array.from({ length: block.heads }, (_, head) => block.attentionRow(token, head));
    const most = Math.max(...rows.map((row) => Math.max(...row)));
    setFont(pen, `${labelSize() + 1}px ${app.theme.font}`);
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const cell = (cells.size - 6) / block.cols;
    setText(high, percent(most));
    for (let head = 0; head < block.heads; head++) {
      const x = (head % cells.columns) * (cells.size + GAP) + 3;
      const y = Math.floor(head / cells.columns) * (cells.height + GAP) + 3;
      const row = rows[head];
      for (let t = 0; t < block.tokens; t++) {
        pen.fillStyle = scales.sequential.css[Math.round((row[t] / most) * 255)];
        pen.fillRect(x + (t % block.cols) * cell, y + Math.floor(t / block.cols) * cell, cell + 0.3, cell + 0.3);
      }
      pen.strokeStyle = app.theme.chalk;
      pen.lineWidth = 1.5;
      pen.strokeRect(x + state.token.col * cell, y + state.token.row * cell, cell, cell);
      const chosen = state.head === head;
      pen.strokeStyle = chosen ? app.neutral("accent") : app.neutral("line");
      pen.lineWidth = chosen ? 3 : 1;
      pen.strokeRect(x, y, cell * block.cols, cell * block.rows);
      pen.fillStyle = app.neutral(chosen ? "text" : "muted");
      pen.fillText(texts.say("head", { head }), x + (cell * block.cols) / 2, y + cell * block.rows + 4);
    }
  }

  return {
    draw(changed) {
      const { block } = state;
      const anew = any(changed, "trace", "size", "block", "lang", "present");
      if (anew) describe();
      if (changed.has("colouring")) {
        app.part("wall-everywhere").setAttribute("aria-pressed", String(state.colouring === "glyphs"));
      }
      if (!any(changed, "token", "group", "order", "theme", "head") && !anew) return;
      if (canvas.hidden || !frameNode.clientWidth) return;
      if (anew || !box) box = arrange();
      const pen = fitCanvas(canvas, box.width, box.height);
      pen.clearRect(0, 0, box.width, box.height);
      if (block.groups) drawKernels(pen);
      else drawHeads(pen);
    },
  };
}

/** A wall without labels or choice, for comparisons. `kernels` are (G, K·K), flat. */
export function drawSmallWall(canvas, kernels, { block, range, scales, width, chosen, colour }) {
  const { groups, taps } = block;
  const gap = 6;
  const columns = groups <= 12 ? 6 : groups <= 32 ? 8 : 12;
  const size = Math.max(12, Math.min(38, Math.floor(width / columns) - gap));
  const pitch = size + gap;
  const pen = fitCanvas(canvas, columns * pitch, Math.ceil(groups / columns) * pitch);
  pen.clearRect(0, 0, columns * pitch, Math.ceil(groups / columns) * pitch);
  for (let group = 0; group < groups; group++) {
    const x = (group % columns) * pitch + gap / 2;
    const y = Math.floor(group / columns) * pitch + gap / 2;
    drawKernel(pen, kernels.subarray(group * taps, (group + 1) * taps), x, y, size, range, scales.diverging.css);
    if (group === chosen) {
      pen.strokeStyle = colour;
      pen.lineWidth = 2;
      pen.strokeRect(x - 1, y - 1, size + 2, size + 2);
    }
  }
}

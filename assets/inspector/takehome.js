import { drawKernel } from "./drawing.js";
import { cropBox, windowToBox } from "./geometry.js";
import { npzFile } from "./npz.js";
import { saveFile } from "./save_file.js";
import { kernelRange } from "./statistics.js";

// The current view to take home: PNG, SVG, the kernels as CSV and NPZ, a page of its own, and Python to reproduce it.

export function listenToTakehome(app) {
  const { state } = app;
  const on = (name, action) => app.part(name).addEventListener("click", action);
  on("save-png", () => pictureOf(app).toBlob((blob) => saveFile(blob, fileName(state, "png"))));
  on("save-svg", async () => saveFile(new Blob([await svgOf(app)], { type: "image/svg+xml" }), fileName(state, "svg")));
  on("save-csv", () => {
    const file = new Blob([kernelsAsCsv(state.block, state.token)], { type: "text/csv" });
    saveFile(file, fileName(state, "csv"));
  });
  on("save-npz", () => {
    const { block } = state;
    const shape = [block.groups, block.taps, block.rows, block.cols]; // as BlockTrace.kernels
    const file = npzFile({ [`${block.name}/kernels`]: { shape, values: tapsFirst(block) } });
    saveFile(new Blob([file]), `lsnet-${block.name}-kernels.npz`);
  });
  on("save-html", () => savePage(app));
  app.part("save-html").hidden = !app.writePage;
  on("copy-python", () => app.copy(app.part("python").textContent, app.part("copy-python")));
  return {
    draw(changed) {
      if (!["trace", "block", "token", "group"].some((key) => changed.has(key))) return;
      for (const name of ["save-csv", "save-npz"]) app.part(name).disabled = !state.block.groups;
      if (app.part("takehome").open) app.part("python").textContent = pythonLines(state);
    },
  };
}

function fileName({ block, token }, extension) {
  return `lsnet-${block.name}-row${token.row}-col${token.col}.${extension}`;
}

/** A page with all that is explored here, open at this place; the server writes it. */
async function savePage(app) {
  const { state, texts } = app;
  const [button, message] = [app.part("save-html"), app.part("message")];
  const label = button.firstElementChild;
  button.disabled = true;
  label.textContent = texts.say("save.html.busy");
  const { block, pixel, colouring } = state;
  let answer = null;
  try {
    answer = await app.writePage({ block: block.name, pixel, colouring, language: texts.lang });
  } catch (error) {
    console.warn(error);
  }
  answer ??= { problem: texts.say("save.html.failed") }; // Gradio has told of a lost connection, or has not
  if (answer.page) saveFile(new Blob([answer.page], { type: "text/html" }), fileName(state, "html"));
  message.hidden = !answer.problem;
  message.textContent = answer.problem ?? "";
  label.textContent = texts.say("save.html");
  button.disabled = false;
}

/** All kernels of a token: one line per group, taps row by row. */
export function kernelsAsCsv(block, token) {
  const taps = Array.from({ length: block.taps }, (_, tap) => `tap${tap}`);
  const lines = [["block", "row", "col", "group", ...taps].join(",")];
  const here = token.row * block.cols + token.col;
  for (let group = 0; group < block.groups; group++) {
    lines.push([block.name, token.row, token.col, group, ...block.kernelAt(here, group)].join(","));
  }
  return `${lines.join("\n")}\n`;
}

/** The kernels as (G, K·K, h, w). */
function tapsFirst({ kernels, tokens, groups, taps }) {
  const size = groups * taps;
  const turned = new Float32Array(kernels.length);
  for (let t = 0; t < tokens; t++) for (let i = 0; i < size; i++) turned[i * tokens + t] = kernels[t * size + i];
  return turned;
}

/** Python that arrives at the same numbers. Text from a visitor, such as a file's name, is never put into it. */
export function pythonLines({ trace, block, token, group, pixel }) {
  const { header } = trace;
  const picture = header.example ? `assets/examples/${header.example}.jpg` : "your_picture.jpg";
  const { frame } = header;
  const whole = frame.size.join() === frame.resized.join();
  const lines = [
    "import lsnet",
    "from viz.capture import trace_image",
    "",
    `predictor = lsnet.load_predictor("${header.source}")`,
    `trace = trace_image(predictor, "${picture}", size=${frame.side}, mode="${whole ? "whole" : "crop"}")`,
    `block = trace.blocks["${block.name}"]`,
    `row, col = trace.geometry.pixel_to_token(${pixel.x}, ${pixel.y}, block)  # (${token.row}, ${token.col})`,
  ];
  if (block.groups) lines.push(`print(block.kernels[${group}, :, row, col].reshape(${block.side}, ${block.side}))`);
  else if (block.heads) lines.push(`print(block.attention[:, row * ${block.cols} + col])  # (heads, tokens)`);
  return lines.join("\n");
}

function pictureOf(app) {
  const [lower, upper] = app.pictureView.canvases;
  const wall = app.part("wall");
  const shown = !wall.hidden;
  const gap = Math.round(lower.width * 0.03);
  const canvas = document.createElement("canvas");
  canvas.width = lower.width + (shown ? gap + wall.width : 0);
  canvas.height = Math.max(lower.height, shown ? wall.height : 0);
  const pen = canvas.getContext("2d");
  pen.fillStyle = app.neutral("paper");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(lower, 0, 0);
  pen.drawImage(upper, 0, 0);
  if (shown) pen.drawImage(wall, lower.width + gap, 0);
  return canvas;
}

/** Picture, windows and kernels as shapes that can be edited. */
async function svgOf(app) {
  const { state, theme, scales } = app;
  const { block, token, trace } = state;
  const { frame } = trace.header;
  const [width, height] = frame.picture;
  const unit = Math.max(width, height) / 100;
  const side = block.groups ? 60 * unit : 0;
  const viewBox = [-4 * unit, -4 * unit, width + side + 12 * unit, Math.max(height, side) + 8 * unit].join(" ");
  const svg = svgNode("svg", { viewBox });
  svg.append(svgNode("image", { href: await dataUrl(trace.picture), width, height }));
  const frameOf = (box, colour) =>
    svg.append(
      svgNode("rect", {
        x: box.left,
        y: box.top,
        width: box.right - box.left,
        height: box.bottom - box.top,
        fill: "none",
        stroke: colour,
        "stroke-width": unit / 2,
      }),
    );
  frameOf(cropBox(frame), theme.light.muted);
  if (block.kernelLarge) frameOf(windowToBox(frame, token, block, block.kernelLarge), theme.perception);
  if (block.kernelSmall) frameOf(windowToBox(frame, token, block, block.kernelSmall), theme.aggregation);
  if (block.groups) {
    const columns = Math.ceil(Math.sqrt(block.groups));
    const size = (side / columns) * 0.85;
    const range = kernelRange(block);
    const pen = {
      fillRect: (x, y, w, h) => svg.append(svgNode("rect", { x, y, width: w, height: h, fill: pen.fillStyle })),
    };
    for (let group = 0; group < block.groups; group++) {
      const x = width + 4 * unit + ((group % columns) * side) / columns;
      const y = (Math.floor(group / columns) * side) / columns;
      drawKernel(pen, block.kernelAt(app.tokenIndex(token), group), x, y, size, range, scales.diverging.css);
    }
  }
  return new XMLSerializer().serializeToString(svg);
}

function svgNode(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(blob);
  });
}

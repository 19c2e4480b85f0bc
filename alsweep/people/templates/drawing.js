// Drawing a plane: image, paint, what was predicted, where the strategy looked, box, cross-hair.

const INK = { ground: "#090c10", box: "#ffd60a", cross: "#7fd3ff", scale: "#e9edf2" };
const BACKGROUND_SHARE = 0.35;
/* From purple to yellow, as maps of heat are read everywhere. */
const HEAT = [[87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];

let frame = 0;

function redraw() {
  if (!frame) frame = requestAnimationFrame(drawAll);
}

function drawAll() {
  frame = 0;
  if (app.open) panes.filter(isShown).forEach(draw);
}

const isShown = (pane) => pane.canvas.clientWidth > 0;

function draw(pane) {
  const context = contextOf(pane);
  const place = placement(pane);
  context.fillStyle = INK.ground;
  context.fillRect(0, 0, ...sizeOf(pane));
  drawCells(context, pane, place, greyCells(pane), app.settings.smooth);
  drawOutside(context, pane, place);
  drawCells(context, pane, place, paintCells(pane), false);
  if (app.settings.predicted) drawPrediction(context, pane, place);
  drawBox(context, pane, place);
  drawCross(context, pane, place);
  drawHand(context, pane, place);
  drawScale(context, pane, place);
}

/* In CSS pixels, however many the screen has. */
function contextOf(pane) {
  const [width, height] = sizeOf(pane);
  const ratio = window.devicePixelRatio || 1;
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  const { canvas } = pane;
  if (canvas.width !== size[0] || canvas.height !== size[1]) {
    [canvas.width, canvas.height] = size;
  }
  const context = canvas.getContext("2d", { alpha: false });
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/* A picture of one pixel a cell; `ink(place)` is its colour as 0xAABBGGRR. */
function cellPicture(pane, canvas, ink) {
  const [columns, rows] = cellsOf(pane);
  if (canvas.width !== columns || canvas.height !== rows) {
    [canvas.width, canvas.height] = [columns, rows];
  }
  const pixels = new Uint32Array(columns * rows);
  eachCell(pane, (at, place) => (pixels[at] = ink(place)));
  const image = new ImageData(new Uint8ClampedArray(pixels.buffer), columns, rows);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function greyCells(pane) {
  const { codes } = app.open.channels[app.open.channel];
  const greys = currentGreys();
  return cellPicture(pane, pane.greys, (place) => 0xff000000 | (greys[codes[place]] * 0x010101));
}

/* Computed anew only where the window has changed. */
function currentGreys() {
  const { open } = app;
  const wanted = open.windows[open.channel];
  const known = open.greys;
  if (known?.channel !== open.channel || known.level !== wanted.level
      || known.width !== wanted.width) {
    const greys = greysOf(open.channels[open.channel], wanted);
    open.greys = { channel: open.channel, level: wanted.level, width: wanted.width, greys };
  }
  return open.greys.greys;
}

const inkOf = ([r, g, b], alpha) => ((Math.round(alpha) << 24) | (b << 16) | (g << 8) | r) >>> 0;
const rgbOf = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

function labelInks() {
  const inks = new Uint32Array(256);
  const alpha = (app.settings.opacity * 255) / 100;
  page.classes.forEach(({ code, colour }, rank) => {
    inks[code] = inkOf(rgbOf(colour), rank ? alpha : alpha * BACKGROUND_SHARE);
  });
  return inks;
}

/* Transparent where the score is lowest. */
function heatInks(levels) {
  return Uint32Array.from({ length: levels }, (_, code) => {
    const at = (code / Math.max(1, levels - 1)) * (HEAT.length - 1);
    const low = Math.min(HEAT.length - 2, Math.floor(at));
    const mixed = HEAT[low].map((a, i) => a + (HEAT[low + 1][i] - a) * (at - low));
    return inkOf(mixed.map(Math.round), 210 * Math.sqrt(code / Math.max(1, levels - 1)));
  });
}

function paintCells(pane) {
  const { label, score } = app.open;
  const inks = labelInks();
  if (!score || !app.settings.scored) return cellPicture(pane, pane.paint, (p) => inks[label[p]]);
  const heat = heatInks(score.levels);
  const ink = (place) => inks[label[place]] || heat[score.codes[place]];
  return cellPicture(pane, pane.paint, ink);
}

function drawCells(context, pane, { corner, step }, picture, smooth) {
  const [columns, rows] = cellsOf(pane);
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, ...corner, columns * step[0], rows * step[1]);
}

/* What cannot be painted is darker. */
function drawOutside(context, pane, place) {
  const { low, high, met } = boxIn(pane);
  context.beginPath();
  context.rect(0, 0, ...sizeOf(pane));
  if (met) context.rect(...rectOf(place, low, high));
  context.fillStyle = "rgb(9 12 16 / 38%)";
  context.fill("evenodd");
}

const rectOf = ({ corner, step }, low, high) => [
  ...corner.map((at, i) => at + low[i] * step[i]),
  ...step.map((size, i) => size * (high[i] - low[i])),
];

/* The borders between cells for which `has(col, row)` holds and others, of the cells from `low` up
   to, without, `high`. */
function bordersOf(low, high, has) {
  const path = new Path2D();
  const line = (x0, y0, x1, y1) => (path.moveTo(x0, y0), path.lineTo(x1, y1));
  for (let row = low[1]; row < high[1]; row++) {
    for (let col = low[0]; col < high[0]; col++) {
      const own = has(col, row);
      if (has(col, row - 1) !== own) line(col, row, col + 1, row);
      if (has(col - 1, row) !== own) line(col, row, col, row + 1);
    }
  }
  return path;
}

function onScreen(path, { corner, step }) {
  const moved = new Path2D();
  moved.addPath(path, new DOMMatrix([step[0], 0, 0, step[1], ...corner]));
  return moved;
}

/* Inside the box, where it is asked for. */
function drawPrediction(context, pane, place) {
  if (!boxIn(pane).met) return;
  for (const { colour, path } of predictedBorders(pane)) {
    strokeTwice(context, onScreen(path, place), colour);
  }
}

/* On a dark rim, to be seen on any grey and on paint of the same colour. */
function strokeTwice(context, path, colour) {
  context.lineWidth = 3;
  context.strokeStyle = "rgb(9 12 16 / 55%)";
  context.stroke(path);
  context.lineWidth = 1.4;
  context.strokeStyle = colour;
  context.stroke(path);
}

/* Found once for each slice. */
function predictedBorders(pane) {
  const { prediction, cross, task } = app.open;
  if (!prediction) return [];
  const key = `${task.id} ${cross[planeOf(pane).w]}`;
  if (pane.outline.key !== key) pane.outline = { key, paths: bordersByClass(pane, prediction) };
  return pane.outline.paths;
}

function bordersByClass(pane, prediction) {
  const [columns, rows] = cellsOf(pane);
  const codes = new Uint8Array(columns * rows);
  eachCell(pane, (at, place) => (codes[at] = prediction[place]));
  const { low, high } = boxIn(pane);
  // Beyond the box everything is as at its edge, and so no border is drawn along that.
  const [col, row] = low.map((at, i) => (value) => clamp(value, at, high[i] - 1));
  const found = new Set(codes);
  return page.classes.slice(1).filter(({ code }) => found.has(code)).map(({ code, colour }) => {
    const has = (c, r) => codes[col(c) + columns * row(r)] === code;
    return { colour, path: bordersOf(low, high, has) };
  });
}

function drawBox(context, pane, place) {
  const { low, high, met } = boxIn(pane);
  context.lineWidth = 1.5;
  context.strokeStyle = INK.box;
  context.globalAlpha = met ? 0.95 : 0.45;
  context.setLineDash(met ? [] : [3, 5]);
  context.strokeRect(...rectOf(place, low, high));
  context.setLineDash([]);
  context.globalAlpha = 1;
}

/* Open in the middle, so that it hides nothing. */
function drawCross(context, pane, { corner, step }) {
  const [x, y] = pointOf(pane, app.open.cross).map((at, i) => corner[i] + at * step[i]);
  const [width, height] = sizeOf(pane);
  const gap = [0, 1].map((i) => Math.max(9, step[i]));
  const path = new Path2D();
  const line = (x0, y0, x1, y1) => (path.moveTo(x0, y0), path.lineTo(x1, y1));
  line(0, y, x - gap[0], y);
  line(x + gap[0], y, width, y);
  line(x, 0, x, y - gap[1]);
  line(x, y + gap[1], x, height);
  context.lineWidth = 1;
  context.strokeStyle = INK.cross;
  context.globalAlpha = pane.plane === app.plane ? 0.75 : 0.45;
  context.stroke(path);
  context.globalAlpha = 1;
}

/* What the hand is about to do: the voxels of the brush, or an outline that grows. */
function drawHand(context, pane, place) {
  const { stroke } = app.open;
  if (stroke?.tool === "lasso" && stroke.pane === pane) return drawLasso(context, stroke, place);
  const { tool } = app.settings;
  if (pane.hover && (tool === "brush" || tool === "eraser")) drawBrush(context, pane, place);
}

function drawLasso(context, { points }, { corner, step }) {
  const path = new Path2D();
  points.forEach(([c, r]) => path.lineTo(corner[0] + c * step[0], corner[1] + r * step[1]));
  path.closePath();
  context.fillStyle = `${colourOf.get(app.settings.code)}40`;
  context.fill(path, "evenodd");
  strokeTwice(context, path, colourOf.get(app.settings.code));
}

function drawBrush(context, pane, place) {
  const { u, v, w } = planeOf(pane);
  const offsets = brushOffsets(app.settings.size, app.open.orientation.spacing, w, false);
  const held = new Set();
  const reach = [0, 0];
  for (let n = 0; n < offsets.length; n += 3) {
    held.add(`${offsets[n + u]} ${offsets[n + v]}`);
    [u, v].forEach((axis, i) => (reach[i] = Math.max(reach[i], offsets[n + axis])));
  }
  const has = (col, row) => held.has(`${col - reach[0]} ${row - reach[1]}`);
  const path = bordersOf([0, 0], reach.map((n) => 2 * n + 2), has);
  const first = cellAt(pane.hover).map((at, i) => at - reach[i]);
  const corner = first.map((at, i) => place.corner[i] + at * place.step[i]);
  const ink = app.settings.tool === "eraser" ? "#ffffff" : colourOf.get(app.settings.code);
  strokeTwice(context, onScreen(path, { ...place, corner }), ink);
}

const ROUND_MM = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200];

/* A bar of a round length, about a fifth of the pane. */
function drawScale(context, pane, { scale }) {
  const [width, height] = sizeOf(pane);
  const length = ROUND_MM.findLast((mm) => mm * scale <= width / 4) ?? ROUND_MM[0];
  const [x, y] = [width - 12 - length * scale, height - 12];
  context.fillStyle = INK.scale;
  context.fillRect(x, y, length * scale, 2);
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "right";
  context.fillText(length < 0.1 ? `${length * 1000} µm` : `${length} mm`, width - 12, y - 5);
}

// The three planes: what is where on the screen.

const MARGIN_PX = 24;
const [LEAST_ZOOM, MOST_ZOOM] = [0.1, 40];
/* What is seen at first: the box, and half as much again round it. */
const FRAME = 1.5;

const panes = [...document.querySelectorAll(".pane")].map((figure, plane) => ({
  plane, figure,
  canvas: figure.querySelector("canvas"),
  greys: document.createElement("canvas"),
  paint: document.createElement("canvas"),
  zoom: 1,
  centre: [0, 0],
  hover: null,
  outline: { key: null, paths: [] },
}));

const planeOf = (pane) => app.open.planes[pane.plane];
const cellsOf = (pane) => [planeOf(pane).u, planeOf(pane).v].map((axis) => app.open.shape[axis]);
const edgesOf = (pane) =>
  [planeOf(pane).u, planeOf(pane).v].map((axis) => app.open.orientation.spacing[axis]);
const sizeOf = (pane) => [pane.canvas.clientWidth, pane.canvas.clientHeight];

/* See the box in its frame. */
function fit(pane) {
  const { low, high } = boxIn(pane);
  pane.zoom = 1;
  pane.centre = low.map((at, i) => (at + high[i]) / 2);
}

/* See the whole slice. */
function fitWhole(pane) {
  const cells = cellsOf(pane);
  pane.zoom = scaleFor(pane, cells) / fittingScale(pane);
  pane.centre = cells.map((n) => n / 2);
}

/* Pixels per mm at which so many cells are seen. */
function scaleFor(pane, cells) {
  const edges = edgesOf(pane);
  const room = sizeOf(pane).map((n) => Math.max(n - 2 * MARGIN_PX, 16));
  return Math.min(...room.map((n, i) => n / (cells[i] * edges[i])));
}

/* At a zoom of 1. */
function fittingScale(pane) {
  const { low, high } = boxIn(pane);
  return scaleFor(pane, cellsOf(pane).map((n, i) => Math.min(n, FRAME * (high[i] - low[i]))));
}

/* Pixels of a voxel, and of the corner of the slice from the corner of the pane. */
function placement(pane) {
  const scale = fittingScale(pane) * pane.zoom;
  const step = edgesOf(pane).map((edge) => edge * scale);
  const corner = sizeOf(pane).map((n, i) => n / 2 - pane.centre[i] * step[i]);
  return { corner, step, scale };
}

/* Where in the plane a pixel is: columns and rows, cell borders at whole numbers. */
function pointAt(pane, [x, y]) {
  const { corner, step } = placement(pane);
  return [(x - corner[0]) / step[0], (y - corner[1]) / step[1]];
}

const cellAt = (point) => point.map(Math.floor);

/* The voxel of a cell on the slice that is shown; it may lie outside. */
function voxelOf(pane, [col, row]) {
  const { u, v, flipU, flipV } = planeOf(pane);
  const voxel = [...app.open.cross];
  voxel[u] = flipU ? app.open.shape[u] - 1 - col : col;
  voxel[v] = flipV ? app.open.shape[v] - 1 - row : row;
  return voxel;
}

/* The middle of a voxel's cell. */
function pointOf(pane, voxel) {
  const { u, v, flipU, flipV } = planeOf(pane);
  const at = (axis, flip) => (flip ? app.open.shape[axis] - 1 - voxel[axis] : voxel[axis]) + 0.5;
  return [at(u, flipU), at(v, flipV)];
}

const inCrop = (voxel) => voxel.every((at, axis) => at >= 0 && at < app.open.shape[axis]);

function zoomAt(pane, factor, pixel) {
  const before = pointAt(pane, pixel);
  pane.zoom = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, pane.zoom * factor));
  const after = pointAt(pane, pixel);
  pane.centre = pane.centre.map((at, i) => at + before[i] - after[i]);
  keepNear(pane);
}

function panBy(pane, pixels) {
  const { step } = placement(pane);
  pane.centre = pane.centre.map((at, i) => at - pixels[i] / step[i]);
  keepNear(pane);
}

/* The slice cannot be lost out of sight. */
function keepNear(pane) {
  pane.centre = pane.centre.map((at, i) => Math.min(cellsOf(pane)[i], Math.max(0, at)));
  redraw();
}

/* Move the cross-hair, on which all planes meet; it stays in the crop. */
function moveTo(voxel) {
  app.open.cross = voxel.map((at, axis) => Math.min(app.open.shape[axis] - 1, Math.max(0, at)));
  showPlace();
}

/* A step on the screen of the plane that is chosen: right, down and to the next slice. */
function moveBy(right, down, through) {
  const { u, v, w, flipU, flipV, flipW } = planeOf(panes[app.plane]);
  const voxel = [...app.open.cross];
  voxel[u] += flipU ? -right : right;
  voxel[v] += flipV ? -down : down;
  voxel[w] += flipW ? -through : through;
  moveTo(voxel);
}

const boxCentre = ({ start, size }) => start.map((at, axis) => at + Math.floor(size[axis] / 2));

/* The slice of a pane, cell by cell: place in the picture, place in the volume. */
function eachCell(pane, visit) {
  const { shape, cross } = app.open;
  const { u, v, w, flipU, flipV } = planeOf(pane);
  const stride = strideOf(shape);
  const first = (axis, flip) => (flip ? (shape[axis] - 1) * stride[axis] : 0);
  const [across, down] = [flipU ? -stride[u] : stride[u], flipV ? -stride[v] : stride[v]];
  const start = cross[w] * stride[w] + first(u, flipU) + first(v, flipV);
  let at = 0;
  for (let row = 0; row < shape[v]; row++) {
    let place = start + row * down;
    for (let col = 0; col < shape[u]; col++, place += across) visit(at++, place);
  }
}

/* The box on the slice: its first and its last corner in cells, and whether the slice meets it. */
function boxIn(pane) {
  const { box, shape, cross } = app.open;
  const { u, v, w, flipU, flipV } = planeOf(pane);
  const from = (axis, flip) =>
    flip ? shape[axis] - box.start[axis] - box.size[axis] : box.start[axis];
  const low = [from(u, flipU), from(v, flipV)];
  const high = [low[0] + box.size[u], low[1] + box.size[v]];
  const met = cross[w] >= box.start[w] && cross[w] < box.start[w] + box.size[w];
  return { low, high, met };
}

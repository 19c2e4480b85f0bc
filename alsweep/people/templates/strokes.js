// What a hand does to the label that is open: each is one step of undo.

/* A change that is finished: remembered, counted, kept in the browser. */
function finish(stroke) {
  const { open } = app;
  if (!remember(open.history, open.label, stroke)) return;
  changed();
}

function changed() {
  count();
  Object.assign(progressOf(app.open.task), { begun: isPainted(app.open), saved: false });
  countTime();
  keepLabel();
  keepProgress();
  showAll();
}

const codeOf = (tool) => (tool === "eraser" ? UNPAINTED : app.settings.code);

/* Begin to paint in a pane, at a point of its plane. */
function beginStroke(pane, point, tool) {
  const { size, solid, spared } = app.settings;
  const { open } = app;
  const { w } = open.planes[pane.plane];
  open.stroke = {
    ...newStroke(), pane, tool, last: point, points: [point],
    offsets: brushOffsets(size, open.orientation.spacing, w, solid),
    code: codeOf(tool), spared: spared && tool !== "eraser",
  };
  if (tool !== "lasso") paintTo(point);
}

function paintTo(point) {
  const { open } = app;
  const { stroke } = open;
  const cells = lineCells(stroke.last, point);
  cells.forEach((cell) => stampCell(stroke, cell));
  stroke.last = point;
  redraw();
}

function stampCell(stroke, cell) {
  const centre = voxelOf(stroke.pane, cell);
  stamp(app.open, stroke, centre, stroke.offsets, stroke.code, stroke.spared);
}

function continueStroke(point) {
  const { stroke } = app.open;
  if (stroke.tool !== "lasso") return paintTo(point);
  stroke.points.push(point);
  redraw();
}

function endStroke() {
  const { open } = app;
  const { stroke } = open;
  if (!stroke) return;
  if (stroke.tool === "lasso") fillOutline(stroke);
  open.stroke = null;
  finish(stroke);
  redraw();
}

function fillOutline(stroke) {
  const { shape, planes } = app.open;
  const { u, v } = planes[stroke.pane.plane];
  const one = { ...stroke, offsets: Int16Array.of(0, 0, 0) };
  outlineCells(stroke.points, shape[u], shape[v]).forEach((cell) => stampCell(one, cell));
}

/* A second finger means to zoom: what the first one painted was not meant. */
function dropStroke() {
  const { open } = app;
  const { stroke } = open;
  open.stroke = null;
  if (!stroke) return;
  for (let n = stroke.places.length - 1; n >= 0; n--) {
    open.label[stroke.places[n]] = stroke.before[n];
  }
  redraw();
}

/* One stamp at the cross-hair, for those who paint by keys. */
function paintHere() {
  const { open, settings: { tool } } = app;
  if (tool === "cross" || tool === "lasso") {
    return notice("Choose the brush or the eraser to paint with the keyboard.");
  }
  const pane = panes[app.plane];
  beginStroke(pane, pointOf(pane, open.cross), tool);
  endStroke();
}

function fillWith(wanted) {
  const stroke = newStroke();
  fillBox(app.open, stroke, wanted);
  finish(stroke);
  return stroke.places.length;
}

/* Take what was predicted where nothing is painted: of one class, or of all. */
function accept(only) {
  const { prediction } = app.open;
  if (!prediction) return notice("There is no prediction yet: no network has been trained.");
  const voxels = fillWith((place, code) => {
    const wanted = prediction[place];
    return code === UNPAINTED && (only === undefined || wanted === only) ? wanted : undefined;
  });
  const what = only === undefined ? "the prediction" : nameOf(only);
  notice(`Accepted ${what}: ${voxels.toLocaleString("en")} unpainted voxels filled.`);
}

function restIsBackground() {
  const voxels = fillWith((_, code) => (code === UNPAINTED ? page.classes[0].code : undefined));
  notice(`${voxels.toLocaleString("en")} unpainted voxels are ${page.classes[0].name} now.`);
}

function clearBox() {
  fillWith(() => UNPAINTED);
  notice("The box is unpainted again. Undo brings it back.");
}

function takeBack() {
  endStroke();
  if (undo(app.open.history, app.open.label)) changed();
  else notice("Nothing to undo.");
}

function bringBack() {
  if (redo(app.open.history, app.open.label)) changed();
  else notice("Nothing to redo.");
}

function toggleDone() {
  const progress = progressOf(app.open.task);
  progress.done = !progress.done;
  countTime();
  keepProgress();
  showAll();
}

// Painting voxels: brushes, lines and outlines, only within the box, and undone stroke by stroke.

const UNPAINTED = 255;
/* Voxels that all strokes together may hold before the oldest are forgotten. */
const MOST_REMEMBERED = 3e7;

/* The offsets i, j, k of a brush, one after the other: voxels whose centres are within half its
   size. A size is counted in the shortest edge of a voxel, so that it is a length: a disc or a
   ball also where voxels are not cubes. Flat brushes stay in the plane across axis w. */
function brushOffsets(size, spacing, w, solid) {
  const radius = (size / 2) * Math.min(...spacing) * (1 + 1e-6);
  const reach = spacing.map((edge, axis) => (axis === w && !solid ? 0 : Math.floor(radius / edge)));
  const offsets = [];
  for (let k = -reach[2]; k <= reach[2]; k++) {
    for (let j = -reach[1]; j <= reach[1]; j++) {
      for (let i = -reach[0]; i <= reach[0]; i++) {
        const away = Math.hypot(i * spacing[0], j * spacing[1], k * spacing[2]);
        if (away <= radius) offsets.push(i, j, k);
      }
    }
  }
  return Int16Array.from(offsets);
}

/* Voxels on the way between two points of a plane (voxel units, cell borders at whole numbers). */
function lineCells(from, to) {
  const steps = Math.max(1, Math.ceil(2 * Math.max(...from.map((a, i) => Math.abs(to[i] - a)))));
  const cells = [];
  for (let step = 0; step <= steps; step++) {
    const at = step === steps ? to : from.map((a, i) => a + ((to[i] - a) * step) / steps);
    const cell = at.map(Math.floor);
    const last = cells[cells.length - 1];
    if (!last || last[0] !== cell[0] || last[1] !== cell[1]) cells.push(cell);
  }
  return cells;
}

/* Cells whose centres lie in a closed outline, by the even-odd rule. */
function outlineCells(points, columns, rows) {
  const cells = [];
  for (let row = 0; row < rows; row++) {
    const cuts = cutsOf(points, row + 0.5);
    for (let n = 0; n + 1 < cuts.length; n += 2) {
      const last = Math.min(columns - 1, Math.ceil(cuts[n + 1] - 0.5) - 1);
      for (let c = Math.max(0, Math.ceil(cuts[n] - 0.5)); c <= last; c++) cells.push([c, row]);
    }
  }
  return cells;
}

function cutsOf(points, y) {
  const cuts = [];
  points.forEach(([x0, y0], n) => {
    const [x1, y1] = points[(n + 1) % points.length];
    if (y0 <= y !== y1 <= y) cuts.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
  });
  return cuts.sort((a, b) => a - b);
}

const newStroke = () => ({ places: [], before: [] });

/* Give a voxel a code, unless it has it; whether it changed. */
function setVoxel(label, stroke, place, code) {
  if (label[place] === code) return false;
  stroke.places.push(place);
  stroke.before.push(label[place]);
  label[place] = code;
  return true;
}

/* Paint a brush around a voxel: what of it lies in the box. `spared` keeps what is painted. */
function stamp(canvas, stroke, centre, offsets, code, spared) {
  const { label, shape, box } = canvas;
  const [a, b] = [box.start, box.start.map((at, axis) => at + box.size[axis])];
  for (let n = 0; n < offsets.length; n += 3) {
    const i = centre[0] + offsets[n];
    const j = centre[1] + offsets[n + 1];
    const k = centre[2] + offsets[n + 2];
    if (i < a[0] || j < a[1] || k < a[2] || i >= b[0] || j >= b[1] || k >= b[2]) continue;
    const place = i + shape[0] * (j + shape[1] * k);
    if (!spared || label[place] === UNPAINTED) setVoxel(label, stroke, place, code);
  }
}

/* Give every voxel of the box the code that `wanted(place, code)` says; undefined leaves it. */
function fillBox({ label, shape, box }, stroke, wanted) {
  eachRow(box, shape, (first, stop) => {
    for (let place = first; place < stop; place++) {
      const code = wanted(place, label[place]);
      if (code !== undefined) setVoxel(label, stroke, place, code);
    }
  });
}

const newHistory = () => ({ done: [], undone: [] });

/* Remember a stroke that changed something; the oldest are forgotten where memory would run out. */
function remember(history, label, { places, before }) {
  if (!places.length) return false;
  const after = Uint8Array.from(places, (place) => label[place]);
  history.done.push({ places: Uint32Array.from(places), before: Uint8Array.from(before), after });
  history.undone.length = 0;
  let held = history.done.reduce((sum, one) => sum + one.places.length, 0);
  while (held > MOST_REMEMBERED && history.done.length > 1) {
    held -= history.done.shift().places.length;
  }
  return true;
}

/* Take a voxel's codes back from its last change to its first, since a stroke may have several. */
function undo(history, label) {
  const stroke = history.done.pop();
  if (!stroke) return false;
  for (let n = stroke.places.length - 1; n >= 0; n--) label[stroke.places[n]] = stroke.before[n];
  history.undone.push(stroke);
  return true;
}

function redo(history, label) {
  const stroke = history.undone.pop();
  if (!stroke) return false;
  stroke.places.forEach((place, n) => (label[place] = stroke.after[n]));
  history.done.push(stroke);
  return true;
}

/* Voxels of the box by code, and how many painted ones are not what was predicted. */
function tally({ label, shape, box }, prediction) {
  const voxels = new Uint32Array(256);
  const predicted = new Uint32Array(256);
  let corrections = 0;
  eachRow(box, shape, (first, stop) => {
    for (let place = first; place < stop; place++) {
      voxels[label[place]]++;
      if (!prediction) continue;
      predicted[prediction[place]]++;
      corrections += label[place] !== UNPAINTED && label[place] !== prediction[place];
    }
  });
  return { voxels, predicted, corrections: prediction ? corrections : null };
}

/* The codes of the box alone, and back. */
function boxCodes({ label, shape, box }) {
  const codes = new Uint8Array(box.size[0] * box.size[1] * box.size[2]);
  let at = 0;
  eachRow(box, shape, (first, stop) => {
    codes.set(label.subarray(first, stop), at);
    at += stop - first;
  });
  return codes;
}

const setBoxCodes = ({ label, shape, box }, codes) => placed(codes, box, label, shape);

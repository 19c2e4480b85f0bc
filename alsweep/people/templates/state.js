// What the page knows: its tasks, the one that is open, and how it is looked at and painted.

const page = JSON.parse(document.getElementById("page").textContent);

const app = {
  at: -1,
  open: null,
  store: null,
  progress: new Map(),
  settings: {
    annotator: "", tool: "brush", code: page.classes[Math.min(1, page.classes.length - 1)].code,
    size: 5, solid: false, spared: false, opacity: 50, predicted: true, scored: false,
    smooth: true, theme: "",
  },
  plane: 0,
  single: false,
  whole: false,
  busy: false,
};

const byId = (id) => document.getElementById(id);
const colourOf = new Map(page.classes.map((one) => [one.code, one.colour]));
const nameOf = (code) =>
  code === UNPAINTED ? "unpainted" : page.classes.find((one) => one.code === code)?.name ?? code;

const freshProgress = () => ({ seconds: 0, done: false, saved: false, begun: false });
const progressOf = (task) => app.progress.get(task.id);
const isPainted = (open) => open.counts.voxels[UNPAINTED] < open.voxels;

/* Everything of a patch that painting and drawing need. */
async function readTask(task) {
  const channels = await Promise.all(task.channels.map((one) => volumeOf(one, task.shape)));
  const label = await blockOf(task.label);
  const orientation = orientationOf(task.affine);
  const open = {
    task, channels, label, orientation,
    shape: task.shape,
    box: task.box,
    voxels: task.box.size.reduce((product, n) => product * n, 1),
    prediction: task.prediction && (await blockOf(task.prediction)),
    score: task.score && (await volumeOf(task.score, task.shape)),
    planes: PLANES.map((plane) => planeIn(orientation, plane)),
    history: newHistory(),
    cross: task.box.start.map((at, axis) => at + Math.floor(task.box.size[axis] / 2)),
    channel: 0,
    stroke: null,
  };
  open.presets = channels.map((one) => presetsOf(one, boxedCodes(open, one.codes)));
  open.windows = open.presets.map(([first]) => ({ ...first }));
  return open;
}

function boxedCodes({ shape, box }, codes) {
  const parts = [];
  eachRow(box, shape, (first, stop) => parts.push(codes.subarray(first, stop)));
  const all = new Uint16Array(parts.reduce((sum, one) => sum + one.length, 0));
  parts.reduce((at, one) => (all.set(one, at), at + one.length), 0);
  return all;
}

/* Show a patch; what was painted on it in this browser before is there again. */
async function openTask(at) {
  if (app.busy || at < 0 || at >= page.tasks.length) return;
  app.busy = true;
  leaveTask();
  try {
    const open = await readTask(page.tasks[at]);
    await recall(open);
    begin(at, open);
  } catch (failure) {
    console.error(failure);
    notice(`${page.tasks[at].id} cannot be read: the page is damaged; copy it again.`);
  } finally {
    app.busy = false;
  }
}

async function recall(open) {
  const codes = app.store && (await keptCodes(app.store, labelKey(open.task), open.voxels));
  if (codes && codes.length === open.voxels) setBoxCodes(open, codes);
}

function begin(at, open) {
  open.watch = stopwatch(progressOf(open.task).seconds, performance.now());
  if (document.hidden) pause(open.watch, performance.now());
  Object.assign(app, { at, open, whole: false });
  count();
  panes.forEach(fit);
  showAll();
  revealPatch();
}

function leaveTask() {
  if (!app.open) return;
  endStroke();
  countTime();
  keepProgress(app.open.task);
}

function countTime() {
  advance(app.open.watch, performance.now());
  progressOf(app.open.task).seconds = app.open.watch.seconds;
}

function count() {
  app.open.counts = tally(app.open, app.open.prediction);
}

/* By patch, not by page: another page may have the same patch beside others. */
const labelKey = (task) => `${task.key} label`;
const progressKey = (task) => `alsweep annotate ${task.key} progress`;
const settingsKey = "alsweep annotate settings";

const keepProgress = () =>
  tried(() => page.tasks.forEach((task) => keepSmall(progressKey(task), progressOf(task))));
const keepSettings = () => tried(() => keepSmall(settingsKey, app.settings));
const keepLabel = () =>
  tried(() => keepCodes(app.store, labelKey(app.open.task), boxCodes(app.open)));

/* Whatever a browser refuses to keep, it says so once, and painting goes on. */
async function tried(keep) {
  if (!app.store) return;
  try {
    await keep();
  } catch (failure) {
    storeFailed(failure);
  }
}

function storeFailed() {
  app.store = null;
  notice("This browser keeps no progress: download each patch before you close the page.");
}

/* What this browser kept of the page, if it keeps anything. */
async function restore() {
  page.tasks.forEach((task) => app.progress.set(task.id, freshProgress()));
  try {
    app.store = await openStore();
    for (const task of page.tasks) Object.assign(progressOf(task), keptSmall(progressKey(task)));
    Object.assign(app.settings, keptSmall(settingsKey));
  } catch {
    storeFailed();
  }
  const codes = page.classes.map((one) => one.code);
  if (!codes.includes(app.settings.code)) app.settings.code = codes[Math.min(1, codes.length - 1)];
}

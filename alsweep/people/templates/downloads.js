// Files to hand back: a label and what is known about its making, for each patch.

function saveFile(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const recordOf = (task, corrections) => ({
  patch: task.id,
  annotator: app.settings.annotator.trim(),
  seconds: Math.round(10 * progressOf(task).seconds) / 10,
  corrections,
});

/* Both files of a patch, from what is painted now or was kept. */
async function filesOf(task) {
  const painted = await paintedOf(task);
  const record = recordOf(task, painted.counts.corrections);
  return [
    { name: `${task.id}_label.nii.gz`,
      content: await niftiFile(task.shape, task.affine, painted.label) },
    { name: `${task.id}_label.json`,
      content: new TextEncoder().encode(`${JSON.stringify(record, null, 1)}\n`) },
  ];
}

async function paintedOf(task) {
  if (app.open.task === task) return app.open;
  const painted = { task, shape: task.shape, box: task.box, label: await blockOf(task.label) };
  painted.voxels = task.box.size.reduce((product, n) => product * n, 1);
  await recall(painted);
  const prediction = task.prediction && (await blockOf(task.prediction));
  return { ...painted, counts: tally(painted, prediction) };
}

/* Whether somebody has said who paints: a label without a name is of no use. */
function isNamed() {
  if (app.settings.annotator.trim()) return true;
  byId("annotator").focus();
  notice("Write your name first, at the top: labels say who made them.");
  return false;
}

async function downloadOne() {
  if (!isNamed()) return;
  countTime();
  const { task } = app.open;
  for (const { name, content } of await filesOf(task)) saveFile(name, content, typeOf(name));
  markSaved([task]);
}

const typeOf = (name) => (name.endsWith(".json") ? "application/json" : "application/gzip");

/* Patches that are marked done; those only begun on request. */
async function downloadAll(begunToo) {
  if (!isNamed()) return;
  countTime();
  const tasks = page.tasks.filter((one) => isWanted(progressOf(one), begunToo));
  if (!tasks.length) return notice("No patch is marked done yet.");
  const files = [];
  for (const task of tasks) files.push(...(await filesOf(task)));
  saveFile(`${page.name}_labels.zip`, await zipFile(files).arrayBuffer(), "application/zip");
  markSaved(tasks);
}

const isWanted = ({ done, begun }, begunToo) => done || (begunToo && begun);

function markSaved(tasks) {
  tasks.forEach((task) => (progressOf(task).saved = true));
  keepProgress();
  showAll();
  const what = tasks.length === 1 ? tasks[0].id : `${tasks.length} patches`;
  notice(`Downloaded ${what}. Hand the files over as they are.`);
}

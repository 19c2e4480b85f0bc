// Tie everything together and show the first patch that is not done.

/* A browser that crashes forgets no more of the time than this. */
const KEPT_MS = 15000;

function listen() {
  document.addEventListener("keydown", pressed);
  document.addEventListener("keyup", released);
  document.addEventListener("visibilitychange", seen);
  document.addEventListener("click", giveKeysBack);
  window.addEventListener("blur", () => (app.panning = false));
  window.addEventListener("pagehide", leaveTask);
  for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"]) {
    document.addEventListener(kind, awake, { capture: true, passive: true });
  }
  document.querySelectorAll("[data-act]").forEach((button) => {
    button.addEventListener("click", () => act(ACTIONS[button.dataset.act], ""));
  });
  listenToFields();
  panes.forEach(listenTo);
  new ResizeObserver(redraw).observe(document.querySelector(".panes"));
}

function listenToFields() {
  byId("annotator").addEventListener("input", ({ target }) => {
    app.settings.annotator = target.value;
    keepSettings();
  });
  byId("size").addEventListener("input", ({ target }) => setSize(Number(target.value)));
  byId("opacity").addEventListener("input", ({ target }) => setOpacity(Number(target.value)));
  chosen("preset", (at) => at < app.open.presets[app.open.channel].length && choosePreset(at));
  chosen("channel", chooseChannel);
  [...byId("planes").children].forEach((button, plane) => {
    button.addEventListener("click", () => choosePlane(plane));
  });
  byId("help").addEventListener("click", ({ target }) => target === byId("help") && target.close());
}

/* A list gives the keyboard back to the planes as soon as something is chosen. */
function chosen(id, choose) {
  byId(id).addEventListener("change", ({ target }) => {
    choose(target.selectedIndex);
    target.blur();
  });
}

/* A button that was clicked, not pressed by a key, leaves the space bar to the planes. */
function giveKeysBack({ target, detail }) {
  if (detail) target.closest?.("button")?.blur();
}

const awake = () => app.open && stir(app.open.watch, performance.now());

function seen() {
  if (!app.open) return;
  const now = performance.now();
  if (document.hidden) pause(app.open.watch, now);
  else resume(app.open.watch, now);
  countTime();
  keepProgress();
}

function keepTime() {
  countTime();
  keepProgress();
}

/* Two tabs with the same page would write over each other's progress. */
async function warnOfTwins() {
  await navigator.locks?.request(page.key, { ifAvailable: true }, (lock) => {
    if (lock) return new Promise(() => {});
    byId("twin").hidden = false;
    return undefined;
  });
}

async function start() {
  buildPatches();
  buildClasses();
  buildHelp();
  buildHints();
  await restore();
  byId("annotator").value = app.settings.annotator;
  listen();
  warnOfTwins();
  const first = page.tasks.findIndex((task) => !progressOf(task).done);
  await openTask(Math.max(0, first));
  setInterval(showClock, 1000);
  setInterval(keepTime, KEPT_MS);
  byId("starting").hidden = true;
}

/* Settled when the first patch can be painted. */
const ready = start();

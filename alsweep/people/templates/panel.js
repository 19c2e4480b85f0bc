// What stands round the planes: patches, classes, tools, values.

const NOTICE_MS = 6000;
const MOST_OBLIQUE = 1;
let noticed = 0;

/* An element with properties and children; texts are texts, whatever is in them. */
function make(tag, properties = {}, ...children) {
  const { data = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, data);
  element.append(...children);
  return element;
}

const number = (value) => value.toLocaleString("en");
const compact = new Intl.NumberFormat("en", { notation: "compact" });
const short = (value) =>
  Number.isInteger(value) ? String(value) : value.toLocaleString("en", { maximumSignificantDigits: 4 });
const keyNames = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", "-": "−" };
const keyText = (key) =>
  key.split(/\+(?=.)/).map((part) => keyNames[part] ?? (/^[a-z]$/.test(part) ? part.toUpperCase() : part)).join(" + ");

function notice(text) {
  const line = byId("notice");
  line.textContent = text;
  line.hidden = false;
  clearTimeout(noticed);
  noticed = setTimeout(() => (line.hidden = true), NOTICE_MS);
}

/* Say everything anew; what has not changed looks as before. */
function showAll() {
  if (!app.open) return;
  showTheme();
  showPatches();
  showCard();
  showClasses();
  showChoices();
  showPanes();
  showActions();
  showPlace();
  showWindow();
}

function showTheme() {
  document.documentElement.style.colorScheme = app.settings.theme || "light dark";
}

function buildPatches() {
  byId("patches").append(...page.tasks.map((task, at) => {
    const button = make(
      "button", { type: "button", onclick: () => openTask(at) },
      make("span", { className: "state", ariaHidden: "true" }),
      make("span", { className: "name" }, task.id,
        make("small", {}, make("span", { className: "time" }), task.case)),
    );
    return make("li", {}, button);
  }));
}

const stateOf = ({ done, begun }) => (done ? "done" : begun ? "begun" : "untouched");

function showPatches() {
  [...byId("patches").children].forEach(({ firstChild: button }, at) => {
    const progress = progressOf(page.tasks[at]);
    const [state, time] = [".state", ".time"].map((one) => button.querySelector(one));
    state.className = `state ${stateOf(progress)}`;
    button.title = `${page.tasks[at].id}: ${stateOf(progress)}${progress.saved ? ", downloaded" : ""}`;
    button.ariaCurrent = at === app.at ? "true" : "false";
    time.textContent = `${progress.saved ? "↓ " : ""}${clockText(progress.seconds)}`;
  });
  const done = page.tasks.filter((task) => progressOf(task).done).length;
  byId("progress").textContent = `${done} of ${page.tasks.length} done`;
  byId("meter").style.width = `${(100 * done) / page.tasks.length}%`;
}

/* Within its list alone: the page stays where it is. */
function revealPatch() {
  const list = byId("patches");
  const [around, chosen] = [list, list.children[app.at]].map((one) => one.getBoundingClientRect());
  list.scrollBy(
    chosen.left + chosen.width / 2 - around.left - around.width / 2,
    chosen.top + chosen.height / 2 - around.top - around.height / 2,
  );
}

function showCard() {
  const { task, orientation, box } = app.open;
  byId("patch").textContent = task.id;
  byId("why").textContent = task.why;
  byId("why").hidden = !task.why;
  const edges = orientation.spacing.map((edge) => short(Number(edge.toFixed(3))));
  const facts = [
    ["Case", task.case],
    ["Box", `${box.size.join(" × ")} voxels`],
    ["Voxel", `${edges.join(" × ")} mm`],
  ];
  byId("facts").replaceChildren(...facts.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
  byId("oblique").hidden = orientation.tilt < MOST_OBLIQUE;
  byId("oblique").textContent =
    `Oblique by ${Math.round(orientation.tilt)}°: the planes run along the image's own axes, and each mark names the nearest direction.`;
  showShares();
  showClock();
}

function showShares() {
  const { counts, voxels } = app.open;
  const left = counts.voxels[UNPAINTED];
  byId("left").textContent = left
    ? `${number(left)} of ${number(voxels)} voxels unpainted (${((100 * left) / voxels).toFixed(1)} %)`
    : "Every voxel of the box is painted.";
  byId("shares").replaceChildren(...page.classes.filter(({ code }) => counts.voxels[code]).map(({ code, colour }) => {
    const part = make("span");
    part.style.cssText = `background: ${colour}; flex-grow: ${counts.voxels[code]}`;
    return part;
  }), Object.assign(make("span"), { style: `flex-grow: ${left}` }));
  byId("corrections").textContent = counts.corrections === null || left === voxels
    ? "" : `${number(counts.corrections)} painted otherwise than predicted`;
}

function showClock() {
  if (!app.open) return;
  const now = performance.now();
  advance(app.open.watch, now);
  byId("clock").textContent = clockText(app.open.watch.seconds);
  byId("clock").classList.toggle("paused", !isCounting(app.open.watch, now));
  byId("clock").title = isCounting(app.open.watch, now)
    ? "Time on this patch" : "Time on this patch: paused until you go on";
}

function buildClasses() {
  byId("classes").append(...page.classes.map(({ code, name, colour }, rank) => {
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = colour;
    const choose = make(
      "button", { type: "button", className: "choose", onclick: () => chooseClass(code) },
      swatch, make("span", { className: "name" }, name), make("span", { className: "count" }),
      make("kbd", {}, rank < 10 ? String(rank) : ""),
    );
    const take = make("button", { type: "button", className: "take", onclick: () => accept(code) });
    return make("li", { data: { code } }, choose, take);
  }));
}

function showClasses() {
  const { counts, prediction } = app.open;
  for (const row of byId("classes").children) {
    const code = Number(row.dataset.code);
    const [choose, take] = row.children;
    choose.ariaPressed = String(code === app.settings.code);
    choose.querySelector(".count").textContent = compact.format(counts.voxels[code]);
    choose.title = `${nameOf(code)}: ${number(counts.voxels[code])} voxels painted`;
    take.hidden = !prediction;
    take.disabled = !counts.predicted[code];
    take.textContent = "accept";
    take.title = `Accept ${nameOf(code)} as predicted where nothing is painted: ${number(counts.predicted[code])} voxels predicted`;
  }
}

/* Fields that have a value of their own. */
function showChoices() {
  const { size, opacity } = app.settings;
  const edge = Math.min(...app.open.orientation.spacing);
  byId("size").value = size;
  byId("size-text").textContent = `${size} · ${short(Number((size * edge).toFixed(2)))} mm`;
  byId("opacity").value = opacity;
  byId("opacity-text").textContent = `${opacity} %`;
  options(byId("channel"), app.open.channels.map((one) => one.name), app.open.channel);
  byId("channel").parentElement.hidden = app.open.channels.length === 1;
}

function options(select, names, chosen) {
  const texts = [...select.options].map((one) => one.text);
  if (texts.join("\n") !== names.join("\n")) {
    select.replaceChildren(...names.map((name, at) => new Option(name, at)));
  }
  select.selectedIndex = chosen;
}

function showPanes() {
  document.body.classList.toggle("single", app.single);
  panes.forEach((pane) => {
    pane.figure.classList.toggle("active", pane.plane === app.plane);
    const { marks } = planeOf(pane);
    for (const [side, mark] of Object.entries(marks)) {
      pane.figure.querySelector(`.${side}`).textContent = mark;
    }
    byId("planes").children[pane.plane].ariaPressed = String(pane.plane === app.plane);
  });
}

function showActions() {
  for (const button of document.querySelectorAll("[data-act]")) {
    const action = ACTIONS[button.dataset.act];
    if (action.pressed) button.ariaPressed = String(action.pressed());
    button.disabled = Boolean(action.off?.());
  }
}

/* Where the cross-hair is, in each plane and as a value. */
function showPlace() {
  const { shape, cross } = app.open;
  panes.forEach((pane) => {
    const { name, w, flipW } = planeOf(pane);
    const slice = flipW ? shape[w] - cross[w] : cross[w] + 1;
    pane.figure.querySelector("figcaption").textContent = `${name} ${slice} / ${shape[w]}`;
  });
  showValue();
  redraw();
}

/* The voxel under the pointer, or at the cross-hair. */
function showValue() {
  const pane = panes.find((one) => one.hover);
  const pointed = pane && voxelOf(pane, cellAt(pane.hover));
  const voxel = pointed && inCrop(pointed) ? pointed : app.open.cross;
  byId("value").textContent = valueText(app.open, voxel);
}

/* Far from the box the page carries means of a few voxels. */
const isFine = (volume, voxel) => !volume.far || inBox(volume.near, voxel);

function valueText(open, voxel) {
  const place = indexOf(open.shape, voxel);
  const volume = open.channels[open.channel];
  const inside = inBox(open.box, voxel);
  const millimetres = positionOf(open.task.affine, voxel).map((mm) => mm.toFixed(1)).join(", ");
  const texts = [
    `${volume.name} ${isFine(volume, voxel) ? "" : "≈ "}${short(valueOf(volume, volume.codes[place]))}`,
    inside ? nameOf(open.label[place]) : "outside the box",
    open.prediction && inside ? `predicted ${nameOf(open.prediction[place])}` : null,
    open.score && inside ? `score ${short(valueOf(open.score, open.score.codes[place]))}` : null,
    `RAS ${millimetres} mm`,
  ];
  return texts.filter(Boolean).join("  ·  ");
}

function showWindow() {
  const { open } = app;
  const now = open.windows[open.channel];
  const names = open.presets[open.channel].map((one) => one.name);
  options(byId("preset"), now.name ? names : [...names, "by hand"], now.name ? names.indexOf(now.name) : names.length);
  byId("window-text").textContent = `level ${short(Math.round(now.level * 100) / 100)} · width ${short(Math.round(now.width * 100) / 100)}`;
  redraw();
}

/* What is one thing to a reader is said once, with all its keys. */
function keysByText(actions) {
  const known = new Map();
  for (const { keys, shown, text } of Object.values(actions)) {
    known.set(text, [...(known.get(text) ?? []), ...(shown ? [shown] : keys.map(keyText))]);
  }
  return known;
}

function buildHelp() {
  const groups = Object.entries(GROUPS).map(([name, actions]) => make(
    "section", {}, make("h3", {}, name),
    make("dl", {}, ...[...keysByText(actions)].flatMap(([text, keys]) => [
      make("dt", {}, ...keys.map((key) => make("kbd", {}, key))), make("dd", {}, text),
    ])),
  ));
  byId("keys").append(...groups);
}

/* A button's hint says which keys do the same. */
function buildHints() {
  for (const button of document.querySelectorAll("[data-act]")) {
    const { keys, text } = ACTIONS[button.dataset.act];
    const hint = `${text[0].toUpperCase()}${text.slice(1)}`;
    button.title = `${hint} (${keys.map(keyText).join(", ")})`;
  }
}

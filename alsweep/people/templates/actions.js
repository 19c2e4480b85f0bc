// Everything that can be done, with its keys: buttons, the keyboard and the help read this table.

const set = (name, value) => {
  app.settings[name] = value;
  keepSettings();
  showAll();
};
const flip = (name) => set(name, !app.settings[name]);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const MOST_SIZE = 41;

const middleOf = (pane) => sizeOf(pane).map((n) => n / 2);
const activePane = () => panes[app.plane];

const toolAction = (tool, key, text) => ({
  keys: [key], text, run: () => set("tool", tool), pressed: () => app.settings.tool === tool,
});
const setSize = (size) => set("size", clamp(size, 1, MOST_SIZE));
const setOpacity = (percent) => set("opacity", clamp(percent, 0, 100));

function stepClass(by) {
  const at = page.classes.findIndex((one) => one.code === app.settings.code) + by;
  chooseClass(page.classes[(at + page.classes.length) % page.classes.length].code);
}

/* A class is chosen to paint with it. */
function chooseClass(code) {
  if (app.settings.tool === "eraser" || app.settings.tool === "cross") app.settings.tool = "brush";
  set("code", code);
}

function choosePlane(plane) {
  if (app.plane === plane) return;
  app.plane = plane;
  showAll();
}

function stepPreset(by) {
  const { open } = app;
  const names = open.presets[open.channel].map((one) => one.name);
  const at = names.indexOf(open.windows[open.channel].name) + by;
  choosePreset((at + names.length) % names.length);
}

function choosePreset(at) {
  const { open } = app;
  open.windows[open.channel] = { ...open.presets[open.channel][at] };
  showWindow();
}

function chooseChannel(channel) {
  app.open.channel = channel % app.open.channels.length;
  showAll();
}

function fitAll() {
  app.whole = !app.whole;
  panes.forEach(app.whole ? fitWhole : fit);
  showAll();
}

function toggleSingle() {
  app.single = !app.single;
  showAll();
}

const THEMES = ["", "dark", "light"];
const nextTheme = () =>
  set("theme", THEMES[(THEMES.indexOf(app.settings.theme) + 1) % THEMES.length]);

const PAN = "pan (middle button, or space and drag)";

const GROUPS = {
  Paint: {
    brush: toolAction("brush", "b", "brush"),
    eraser: toolAction("eraser", "e", "eraser: back to unpainted"),
    lasso: toolAction("lasso", "l", "outline: draw round a region to fill it"),
    cross: toolAction("cross", "c", "cross-hair: look round without painting"),
    smaller: { keys: ["q", "["], text: "smaller brush", run: () => setSize(app.settings.size - 1) },
    larger: { keys: ["w", "]"], text: "larger brush", run: () => setSize(app.settings.size + 1) },
    solid: {
      keys: ["d"], text: "brush flat or as a ball",
      run: () => flip("solid"), pressed: () => app.settings.solid,
    },
    spared: {
      keys: ["k"], text: "paint only where nothing is painted",
      run: () => flip("spared"), pressed: () => app.settings.spared,
    },
    here: { keys: ["p"], text: "paint or erase at the cross-hair", run: paintHere },
    undo: {
      keys: ["u", "Ctrl+z"], text: "undo", run: takeBack,
      off: () => !app.open?.history.done.length,
    },
    redo: {
      keys: ["r", "Ctrl+y", "Ctrl+Shift+z"], text: "redo", run: bringBack,
      off: () => !app.open?.history.undone.length,
    },
  },
  Classes: {
    class: {
      keys: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
      shown: "0 – 9", text: "paint with this class", run: (key) => chooseByDigit(Number(key)),
    },
    previousClass: { keys: [","], text: "previous class", run: () => stepClass(-1) },
    nextClass: { keys: ["."], text: "next class", run: () => stepClass(1) },
    acceptClass: {
      keys: ["a"], text: "accept the prediction of this class where nothing is painted",
      run: () => accept(app.settings.code), off: () => !app.open?.prediction,
    },
    acceptAll: {
      keys: ["Shift+a"], text: "accept the whole prediction where nothing is painted",
      run: () => accept(), off: () => !app.open?.prediction,
    },
    rest: {
      keys: ["Shift+b"], text: "the rest of the box is background", run: restIsBackground,
    },
    clear: { keys: ["Shift+e"], text: "clear the box", run: clearBox },
  },
  "Look round": {
    left: { keys: ["ArrowLeft"], text: "move the cross-hair", run: () => moveBy(-1, 0, 0) },
    right: { keys: ["ArrowRight"], text: "move the cross-hair", run: () => moveBy(1, 0, 0) },
    up: { keys: ["ArrowUp"], text: "move the cross-hair", run: () => moveBy(0, -1, 0) },
    down: { keys: ["ArrowDown"], text: "move the cross-hair", run: () => moveBy(0, 1, 0) },
    nextSlice: {
      keys: ["PageUp", "i"], text: "next slice (wheel)", run: () => moveBy(0, 0, 1),
    },
    previousSlice: {
      keys: ["PageDown", "m"], text: "previous slice (wheel)", run: () => moveBy(0, 0, -1),
    },
    centre: {
      keys: ["Home"], text: "centre of the box", run: () => moveTo(boxCentre(app.open.box)),
    },
    plane: { keys: ["x"], text: "next plane", run: () => choosePlane((app.plane + 1) % 3) },
    single: {
      keys: ["z"], text: "one plane or all three", run: toggleSingle, pressed: () => app.single,
    },
    zoomIn: {
      keys: ["+", "="], text: "zoom in (Ctrl and wheel)",
      run: () => zoomAt(activePane(), 1.25, middleOf(activePane())),
    },
    zoomOut: {
      keys: ["-"], text: "zoom out",
      run: () => zoomAt(activePane(), 0.8, middleOf(activePane())),
    },
    fit: { keys: ["f"], text: "see the box, or all round it", run: fitAll, pressed: () => app.whole },
    panLeft: { keys: ["Shift+ArrowLeft"], text: PAN, run: () => panBy(activePane(), [30, 0]) },
    panRight: {
      keys: ["Shift+ArrowRight"], text: PAN,
      run: () => panBy(activePane(), [-30, 0]),
    },
    panUp: { keys: ["Shift+ArrowUp"], text: PAN, run: () => panBy(activePane(), [0, 30]) },
    panDown: { keys: ["Shift+ArrowDown"], text: PAN, run: () => panBy(activePane(), [0, -30]) },
  },
  "Grey values and overlays": {
    preset: { keys: ["v"], text: "next window", run: () => stepPreset(1) },
    presetBack: { keys: ["Shift+v"], text: "previous window", run: () => stepPreset(-1) },
    wider: { keys: ["g"], text: "wider window (right button and drag)", run: () => windowBy(0.1, 0) },
    narrower: { keys: ["Shift+g"], text: "narrower window", run: () => windowBy(-0.1, 0) },
    brighter: { keys: ["h"], text: "brighter", run: () => windowBy(0, -0.05) },
    darker: { keys: ["Shift+h"], text: "darker", run: () => windowBy(0, 0.05) },
    channel: {
      keys: ["t"], text: "next channel", run: () => chooseChannel(app.open.channel + 1),
      off: () => app.open?.channels.length === 1,
    },
    smooth: {
      keys: ["j"], text: "smooth image", run: () => flip("smooth"),
      pressed: () => app.settings.smooth,
    },
    moreOpaque: {
      keys: ["o"], text: "labels more opaque", run: () => setOpacity(app.settings.opacity + 10),
    },
    lessOpaque: {
      keys: ["Shift+o"], text: "labels less opaque",
      run: () => setOpacity(app.settings.opacity - 10),
    },
    predicted: {
      keys: ["y"], text: "outline of the prediction", run: () => flip("predicted"),
      pressed: () => app.settings.predicted && Boolean(app.open?.prediction),
      off: () => !app.open?.prediction,
    },
    scored: {
      keys: ["s"], text: "score: where the strategy looked", run: () => flip("scored"),
      pressed: () => app.settings.scored && Boolean(app.open?.score), off: () => !app.open?.score,
    },
    theme: { keys: ["Shift+t"], text: "colours: as the system, dark, light", run: nextTheme },
  },
  "Patches and files": {
    next: {
      keys: ["n"], text: "next patch", run: () => openTask(app.at + 1),
      off: () => app.at === page.tasks.length - 1,
    },
    previous: {
      keys: ["Shift+n"], text: "previous patch", run: () => openTask(app.at - 1),
      off: () => app.at === 0,
    },
    done: {
      keys: ["Shift+d"], text: "this patch is done, or not yet", run: toggleDone,
      pressed: () => Boolean(app.open) && progressOf(app.open.task).done,
    },
    download: { keys: ["Shift+s"], text: "download this patch", run: downloadOne },
    downloadDone: {
      keys: ["Shift+z"], text: "download all that are done", run: () => downloadAll(false),
    },
    downloadBegun: {
      keys: ["Shift+x"], text: "download all that are begun", run: () => downloadAll(true),
    },
    help: { keys: ["?", "F1"], text: "this help", run: () => byId("help").showModal() },
  },
};

const ACTIONS = Object.assign({}, ...Object.values(GROUPS));
const BY_KEY = new Map(Object.values(ACTIONS).flatMap((one) => one.keys.map((key) => [key, one])));
const WITHOUT_PATCH = new Set([ACTIONS.help, ACTIONS.theme]);

function chooseByDigit(digit) {
  if (digit < page.classes.length) chooseClass(page.classes[digit].code);
}

/* A key as the table writes it; Shift is named only where it does not make another sign. */
function keyOf(event) {
  const letter = /^[a-z]$/i.test(event.key);
  const sign = event.key.length === 1 && !letter;
  const control = (event.ctrlKey || event.metaKey) && !event.altKey;
  const shift = event.shiftKey && !sign;
  const key = letter ? event.key.toLowerCase() : event.key;
  return `${control ? "Ctrl+" : ""}${shift ? "Shift+" : ""}${key}`;
}

/* Keys that a field needs for itself are left to it. */
function belongsToField({ target, key }) {
  if (target.matches("input[type=range]")) return /^(Arrow|Page|Home)/.test(key);
  return target.matches("input, textarea, select");
}

function pressed(event) {
  const action = BY_KEY.get(keyOf(event));
  if (event.key === " " && !event.target.matches("button, input, select, summary")) {
    app.panning = true;
    event.preventDefault();
  }
  if (!action || belongsToField(event) || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  act(action, event.key);
}

function act(action, key) {
  if (app.open || WITHOUT_PATCH.has(action)) action.run(key);
}

function released(event) {
  if (event.key === " ") app.panning = false;
}

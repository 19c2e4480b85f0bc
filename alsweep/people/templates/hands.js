// Mouse, pen and fingers on the planes.

const WHEEL_STEP = 100;
const ERASER_BUTTON = 5;
const fingers = new Map();
let gesture = null;
let wheeled = 0;

function listenTo(pane) {
  const { canvas } = pane;
  canvas.addEventListener("pointerdown", (event) => touched(pane, event));
  canvas.addEventListener("pointermove", (event) => moved(pane, event));
  canvas.addEventListener("pointerup", (event) => lifted(event));
  canvas.addEventListener("pointercancel", (event) => lifted(event));
  canvas.addEventListener("pointerleave", () => hoverAt(pane, null));
  // Else the middle button scrolls the page on some systems.
  canvas.addEventListener("mousedown", (event) => event.preventDefault());
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => turned(pane, event), { passive: false });
}

const pixelOf = (pane, event) => {
  const { left, top } = pane.canvas.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
};

function touched(pane, event) {
  if (!app.open) return;
  event.preventDefault();
  document.activeElement?.blur?.();
  pane.canvas.setPointerCapture(event.pointerId);
  choosePlane(pane.plane);
  if (event.pointerType === "touch") fingers.set(event.pointerId, pixelOf(pane, event));
  if (fingers.size === 2) return beginPinch(pane);
  if (fingers.size > 2 || gesture) return;
  gesture = beginGesture(pane, event);
}

/* The tool that is chosen, unless a button or a key says otherwise. */
function beginGesture(pane, event) {
  const pixel = pixelOf(pane, event);
  const base = { pane, pointer: event.pointerId, last: pixel };
  if (event.button === 1 || app.panning) return { ...base, kind: "pan" };
  if (event.button === 2) return { ...base, kind: "window" };
  const tool = event.button === ERASER_BUTTON ? "eraser" : app.settings.tool;
  if (tool === "cross" || event.shiftKey) {
    moveTo(voxelOf(pane, cellAt(pointAt(pane, pixel))));
    return { ...base, kind: "cross" };
  }
  beginStroke(pane, pointAt(pane, pixel), tool);
  return { ...base, kind: "paint" };
}

function moved(pane, event) {
  if (!app.open) return;
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, pixelOf(pane, event));
  if (gesture?.kind === "pinch") return pinch(gesture);
  if (event.pointerType !== "touch") hoverAt(pane, pointAt(pane, pixelOf(pane, event)));
  if (gesture?.pointer === event.pointerId) drag(gesture, event);
}

function drag(held, event) {
  const pixel = pixelOf(held.pane, event);
  const by = pixel.map((at, i) => at - held.last[i]);
  if (held.kind === "paint") draggedPaint(held.pane, event);
  if (held.kind === "pan") panBy(held.pane, by);
  if (held.kind === "window") windowBy(by[0] / 300, by[1] / 300);
  if (held.kind === "cross") moveTo(voxelOf(held.pane, cellAt(pointAt(held.pane, pixel))));
  held.last = pixel;
}

/* All places the pointer was at since the last frame, not only the last one. */
function draggedPaint(pane, event) {
  if (!app.open.stroke) return;
  const between = event.getCoalescedEvents?.() ?? [];
  const all = between.length ? between : [event];
  all.forEach((one) => continueStroke(pointAt(pane, pixelOf(pane, one))));
}

function lifted(event) {
  fingers.delete(event.pointerId);
  if (!gesture || !isLast(gesture, event)) return;
  // A busy browser may have skipped the last way that the pointer went.
  if (gesture.kind !== "pinch" && event.type === "pointerup") drag(gesture, event);
  const { kind, pane } = gesture;
  gesture = null;
  if (kind !== "paint") return;
  const last = app.open.stroke?.last;
  endStroke();
  if (last) moveTo(voxelOf(pane, cellAt(last)));
}

const isLast = ({ kind, pointer }, event) =>
  kind === "pinch" ? fingers.size < 2 : pointer === event.pointerId;

function hoverAt(pane, point) {
  pane.hover = point;
  if (app.open) showValue();
  redraw();
}

function beginPinch(pane) {
  dropStroke();
  gesture = { kind: "pinch", pane, ...spanOf(fingers) };
}

function spanOf(all) {
  const [a, b] = [...all.values()];
  const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  return { middle, length: Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1])) };
}

function pinch(held) {
  if (fingers.size < 2) return;
  const now = spanOf(fingers);
  panBy(held.pane, now.middle.map((at, i) => at - held.middle[i]));
  zoomAt(held.pane, now.length / held.length, now.middle);
  Object.assign(held, now);
}

/* Through the slices; with Ctrl, or by two fingers on a touch pad, nearer and farther. */
function turned(pane, event) {
  if (!app.open) return;
  event.preventDefault();
  choosePlane(pane.plane);
  const pixels = event.deltaY * (event.deltaMode ? 40 : 1);
  if (event.ctrlKey || event.metaKey) {
    return zoomAt(pane, Math.exp(-pixels / 300), pixelOf(pane, event));
  }
  wheeled += pixels;
  const steps = Math.trunc(wheeled / WHEEL_STEP);
  wheeled -= steps * WHEEL_STEP;
  if (steps) moveBy(0, 0, -steps);
}

/* Wider to the right, brighter upwards: parts of the present width. */
function windowBy(wider, darker) {
  const { open } = app;
  const now = open.windows[open.channel];
  const { slope } = open.channels[open.channel];
  const width = Math.max(slope, now.width * Math.exp(wider));
  open.windows[open.channel] = { name: "", width, level: now.level + darker * now.width };
  showWindow();
}

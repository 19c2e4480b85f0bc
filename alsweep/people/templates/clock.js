// Time spent on a patch: what passes while the tab is seen and somebody does something.

const IDLE_MS = 60000;

const stopwatch = (seconds, now) => ({ seconds, counted: now, stirred: now, runs: true });

/* Count what has passed, up to a minute after the last thing that was done. */
function advance(watch, now) {
  const until = Math.min(now, watch.stirred + IDLE_MS);
  if (watch.runs && until > watch.counted) watch.seconds += (until - watch.counted) / 1000;
  watch.counted = Math.max(now, watch.counted);
}

function stir(watch, now) {
  advance(watch, now);
  watch.stirred = now;
}

function pause(watch, now) {
  advance(watch, now);
  watch.runs = false;
}

function resume(watch, now) {
  advance(watch, now);
  Object.assign(watch, { counted: now, stirred: now, runs: true });
}

const isCounting = (watch, now) => watch.runs && now < watch.stirred + IDLE_MS;
const clockText = (seconds) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

// Window and level: which intensities are black and white.

const LEVELS = 65536;
/* Hounsfield units, for channels that are named as CT is. */
const CT_WINDOWS = [
  ["soft tissue", 40, 400], ["lung", -600, 1500], ["bone", 400, 1800], ["brain", 40, 80],
];
const SHARES = [["1–99 %", 0.01], ["5–95 %", 0.05], ["0–100 %", 0]];

const valueOf = (volume, code) => volume.offset + volume.slope * code;

function histogramOf(codes) {
  const counts = new Uint32Array(LEVELS);
  for (let i = 0; i < codes.length; i++) counts[codes[i]]++;
  return counts;
}

/* The lowest code that at least a share of all voxels does not pass. */
function quantile(counts, voxels, share) {
  let sum = 0;
  for (let code = 0; code < LEVELS; code++) {
    sum += counts[code];
    if (sum > 0 && sum >= share * voxels) return code;
  }
  return LEVELS - 1;
}

function windowBetween(volume, low, high) {
  const [from, to] = [valueOf(volume, low), valueOf(volume, high)];
  return { level: (from + to) / 2, width: Math.max(to - from, volume.slope) };
}

/* Windows to choose from, by name; the first is the one to begin with. */
function presetsOf(volume, boxed) {
  const whole = windowsOf(volume, volume.codes, "");
  const fixed = /^ct\b/i.test(volume.name)
    ? CT_WINDOWS.map(([name, level, width]) => ({ name, level, width })) : [];
  return [...whole, ...windowsOf(volume, boxed, "box ").slice(0, 1), ...fixed];
}

function windowsOf(volume, codes, prefix) {
  const counts = histogramOf(codes);
  const at = (share) => quantile(counts, codes.length, share);
  return SHARES.map(([name, share]) => (
    { name: prefix + name, ...windowBetween(volume, at(share), at(1 - share)) }));
}

/* Grey 0 to 255 of every code. */
function greysOf(volume, { level, width }) {
  const greys = new Uint8ClampedArray(LEVELS);
  const [from, factor] = [level - width / 2, 255 / width];
  for (let code = 0; code < LEVELS; code++) {
    greys[code] = (volume.offset + volume.slope * code - from) * factor;
  }
  return greys;
}

// NIfTI-1 files of label codes: one byte a voxel, the first axis fastest.

const HEADER_BYTES = 352;
const MILLIMETRES = 2;
const ALIGNED = 2;
const UINT8 = 2;
/* Of two axes' directions: a grid that is more oblique has no rotation that says so. */
const MOST_SHEAR = 1e-4;

const column = (affine, axis) => [0, 1, 2].map((row) => affine[row][axis]);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const norm = (a) => Math.hypot(...a);
const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0],
];

/* Voxel sizes, unit vectors of the axes, handedness (-1 = mirrored), whether at right angles. */
function frameOf(affine) {
  const columns = [0, 1, 2].map((axis) => column(affine, axis));
  const spacing = columns.map(norm);
  const units = columns.map((one, axis) => one.map((value) => value / spacing[axis]));
  const [x, y, z] = units;
  const shear = Math.max(...[dot(x, y), dot(y, z), dot(x, z)].map(Math.abs));
  const hand = dot(cross(x, y), z) < 0 ? -1 : 1;
  return { spacing, units, hand, square: shear < MOST_SHEAR };
}

/* The rotation of a frame as b, c, d of a quaternion; its third axis is turned where mirrored. */
function quaternionOf({ units, hand }) {
  const [x, y, z] = [units[0], units[1], units[2].map((value) => value * hand)];
  const trace = x[0] + y[1] + z[2] + 1;
  if (trace > 0.5) {
    const a = Math.sqrt(trace) / 2;
    return [(y[2] - z[1]) / (4 * a), (z[0] - x[2]) / (4 * a), (x[1] - y[0]) / (4 * a)];
  }
  return turnedFar(x, y, z);
}

/* Likewise near half a turn, by the largest of b, c and d; the sign is such that a >= 0. */
function turnedFar(x, y, z) {
  const [xx, yy, zz] = [x[0], y[1], z[2]];
  const squares = [1 + xx - yy - zz, 1 + yy - xx - zz, 1 + zz - xx - yy];
  const largest = squares.indexOf(Math.max(...squares));
  const root = Math.sqrt(squares[largest]) / 2;
  const [xy, xz, yz] = [y[0] + x[1], z[0] + x[2], z[1] + y[2]].map((sum) => sum / (4 * root));
  const found = [[root, xy, xz], [xy, root, yz], [xz, yz, root]][largest];
  const a = [y[2] - z[1], z[0] - x[2], x[1] - y[0]][largest] / (4 * root);
  return a < 0 ? found.map((value) => -value) : found;
}

function niftiHeader(shape, affine) {
  const frame = frameOf(affine);
  const bytes = new DataView(new ArrayBuffer(HEADER_BYTES));
  const shorts = (at, values) => values.forEach((v, i) => bytes.setInt16(at + 2 * i, v, true));
  const floats = (at, values) => values.forEach((v, i) => bytes.setFloat32(at + 4 * i, v, true));
  bytes.setInt32(0, 348, true);
  bytes.setUint8(38, "r".charCodeAt(0));
  shorts(40, [3, ...shape, 1, 1, 1, 1]);
  shorts(70, [UINT8, 8]);
  floats(76, [frame.hand, ...frame.spacing]);
  floats(108, [HEADER_BYTES, 1, 0]);
  bytes.setUint8(123, MILLIMETRES);
  shorts(252, [frame.square ? ALIGNED : 0, ALIGNED]);
  floats(256, [...quaternionOf(frame), ...column(affine, 3)]);
  [0, 1, 2].forEach((row) => floats(280 + 16 * row, affine[row]));
  "n+1".split("").forEach((letter, i) => bytes.setUint8(344 + i, letter.charCodeAt(0)));
  return new Uint8Array(bytes.buffer);
}

/* A .nii.gz file. Codes lie as in memory: index = i + nx * (j + ny * k). */
function niftiFile(shape, affine, codes) {
  const file = new Uint8Array(HEADER_BYTES + codes.length);
  file.set(niftiHeader(shape, affine));
  file.set(codes, HEADER_BYTES);
  return gzip(file);
}

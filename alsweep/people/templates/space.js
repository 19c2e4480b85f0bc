// Where the voxel axes lie in the patient, and the three planes that run along them.

const TOWARD = [["L", "R"], ["P", "A"], ["I", "S"]];
const ORDERS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/* Of each plane the patient's axes (0 right, 1 anterior, 2 superior) across and down the screen,
   and where the screen's right and bottom point to; the patient's right is on the left. */
const PLANES = [
  { name: "axial", across: 0, right: -1, down: 1, bottom: -1, through: 2 },
  { name: "coronal", across: 0, right: -1, down: 2, bottom: -1, through: 1 },
  { name: "sagittal", across: 1, right: -1, down: 2, bottom: -1, through: 0 },
];

/* The voxel axis that is nearest to each of the patient's axes, which way it runs, voxel sizes in
   mm, and by how many degrees the worst of them is off. */
function orientationOf(affine) {
  const { spacing, units } = frameOf(affine);
  const along = (order) => order.map((axis, patient) => Math.abs(units[axis][patient]));
  const fit = (order) => along(order).reduce((sum, value) => sum + value, 0);
  const axes = ORDERS.reduce((best, order) => (fit(order) > fit(best) + 1e-9 ? order : best));
  const signs = axes.map((axis, patient) => (units[axis][patient] < 0 ? -1 : 1));
  const tilt = (Math.acos(Math.min(1, ...along(axes))) * 180) / Math.PI;
  return { axes, signs, spacing, tilt };
}

/* A plane in voxel axes: u across the screen, v down, w through; flipped where the index falls. */
function planeIn(orientation, plane) {
  const { axes, signs } = orientation;
  return {
    name: plane.name,
    u: axes[plane.across],
    v: axes[plane.down],
    w: axes[plane.through],
    flipU: signs[plane.across] !== plane.right,
    flipV: signs[plane.down] !== plane.bottom,
    flipW: signs[plane.through] < 0,
    marks: marksOf(plane),
  };
}

function marksOf({ across, right, down, bottom }) {
  const name = (axis, way) => TOWARD[axis][way > 0 ? 1 : 0];
  return {
    left: name(across, -right), right: name(across, right),
    top: name(down, -bottom), bottom: name(down, bottom),
  };
}

const indexOf = (shape, [i, j, k]) => i + shape[0] * (j + shape[1] * k);
const strideOf = (shape) => [1, shape[0], shape[0] * shape[1]];

/* Patient position of a voxel's centre, mm. */
const positionOf = (affine, [i, j, k]) =>
  [0, 1, 2].map((r) => affine[r][0] * i + affine[r][1] * j + affine[r][2] * k + affine[r][3]);

const inBox = (box, voxel) =>
  voxel.every((at, axis) => at >= box.start[axis] && at < box.start[axis] + box.size[axis]);

function eachRow({ start, size }, shape, visit) {
  for (let k = start[2]; k < start[2] + size[2]; k++) {
    for (let j = start[1]; j < start[1] + size[1]; j++) {
      const first = indexOf(shape, [start[0], j, k]);
      visit(first, first + size[0]);
    }
  }
}

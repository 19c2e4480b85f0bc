"use strict";
// Volumes as the page carries them: base64 of gzip of differences, from which the codes come back.

function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

async function piped(bytes, through) {
  const stream = new Blob([bytes]).stream().pipeThrough(through);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const gunzip = (bytes) => piped(bytes, new DecompressionStream("gzip"));
const gzip = (bytes) => piped(bytes, new CompressionStream("gzip"));

/* Codes from their differences: all low bytes, then all high bytes; a small step of either sign is
   a small number (0, -1, 1, -2, ... are 0, 1, 2, 3, ...). */
function codesOf(planes) {
  const voxels = planes.length / 2;
  const codes = new Uint16Array(voxels);
  let code = 0;
  for (let i = 0; i < voxels; i++) {
    const step = planes[i] | (planes[voxels + i] << 8);
    code = (code + ((step >> 1) ^ -(step & 1))) & 0xffff;
    codes[i] = code;
  }
  return codes;
}

const blockOf = (id) => gunzip(bytesOf(document.getElementById(id).textContent));

/* An image or a score of a shape: its value is offset + slope * code. */
async function volumeOf(packed, shape) {
  const fine = codesOf(await blockOf(packed.block));
  if (!packed.far) return { ...packed, codes: fine };
  const codes = spread(codesOf(await blockOf(packed.far.block)), packed.far, shape);
  return { ...packed, codes: placed(fine, packed.near, codes, shape) };
}

/* Blocks of voxels that are stored as one. */
function spread(coarse, { shape: [nx, ny], factors: [fx, fy, fz] }, shape) {
  const codes = new Uint16Array(shape[0] * shape[1] * shape[2]);
  const columns = Uint16Array.from({ length: shape[0] }, (_, i) => Math.floor(i / fx));
  let at = 0;
  for (let k = 0; k < shape[2]; k++) {
    for (let j = 0; j < shape[1]; j++) {
      const row = nx * (Math.floor(j / fy) + ny * Math.floor(k / fz));
      for (let i = 0; i < shape[0]; i++) codes[at++] = coarse[row + columns[i]];
    }
  }
  return codes;
}

/* A box of codes at its place in a volume. */
function placed(part, box, codes, shape) {
  let at = 0;
  eachRow(box, shape, (first, stop) => {
    codes.set(part.subarray(at, at + stop - first), first);
    at += stop - first;
  });
  return codes;
}

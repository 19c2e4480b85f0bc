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

/* An image or a score: its value is offset + slope * code. */
async function volumeOf(packed) {
  return { ...packed, codes: codesOf(await blockOf(packed.block)) };
}

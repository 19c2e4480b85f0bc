// An archive of files that are compressed already, so it only stores them.

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/* Little-endian numbers, each as [bytes, value]. */
function packed(...numbers) {
  const bytes = [];
  for (const [size, value] of numbers) {
    for (let i = 0; i < size; i++) bytes.push(Math.floor(value / 2 ** (8 * i)) & 255);
  }
  return Uint8Array.from(bytes);
}

function dosTime(now) {
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const day = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  return [[2, time], [2, day]];
}

/* What both headers of a file say: version 2.0, names in UTF-8, stored, time, sum, sizes. */
function entryOf(file, name, now) {
  const size = file.content.length;
  const sizes = [[4, crc32(file.content)], [4, size], [4, size], [2, name.length], [2, 0]];
  return [[2, 20], [2, 0x800], [2, 0], ...dosTime(now), ...sizes];
}

/* A .zip file of files {name, content}. */
function zipFile(files, now = new Date()) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const file of files) {
    const name = new TextEncoder().encode(file.name);
    const entry = entryOf(file, name, now);
    const head = packed([4, 0x04034b50], ...entry);
    parts.push(head, name, file.content);
    const rest = [[2, 0], [2, 0], [2, 0], [4, 0], [4, at]];
    directory.push(packed([4, 0x02014b50], [2, 20], ...entry, ...rest), name);
    at += head.length + name.length + file.content.length;
  }
  const size = directory.reduce((sum, one) => sum + one.length, 0);
  const counts = [[2, files.length], [2, files.length], [4, size], [4, at], [2, 0]];
  return new Blob([...parts, ...directory, packed([4, 0x06054b50], [2, 0], [2, 0], ...counts)]);
}

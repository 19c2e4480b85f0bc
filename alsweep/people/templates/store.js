// Progress in this browser, so that a closed tab loses nothing: labels in its database, and small
// things, and the last label that the database has not confirmed, in its local storage. That one is
// written before a stroke's end is over, whatever becomes of the tab; the other has room for all.

const DATABASE = "alsweep annotate";
const LAST = "alsweep annotate last";
/* Above are halves of letters, which not every browser keeps. */
const LONGEST_RUN = 0xd7ff;

const answered = (request) =>
  new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });

async function openStore() {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore("kept");
  return answered(request);
}

/* Codes as text: a letter for each run's code, and one for its length. */
function runsOf(codes) {
  const runs = [];
  for (let at = 0; at < codes.length; ) {
    const start = at;
    while (at < codes.length && codes[at] === codes[start] && at - start < LONGEST_RUN) at++;
    runs.push(String.fromCharCode(codes[start], at - start));
  }
  return runs.join("");
}

function codesOfRuns(text, voxels) {
  const codes = new Uint8Array(voxels);
  let at = 0;
  for (let n = 0; n < text.length; n += 2) {
    const stop = at + text.charCodeAt(n + 1);
    codes.fill(text.charCodeAt(n), at, stop);
    at = stop;
  }
  return codes;
}

/* Keep the codes of a label. */
async function keepCodes(store, key, codes) {
  const note = `${key}\n${runsOf(codes)}`;
  noteLast(note);
  const change = store.transaction("kept", "readwrite", { durability: "strict" });
  const written = answered(change.objectStore("kept").put(codes, key));
  change.commit();
  await written;
  if (localStorage.getItem(LAST) === note) localStorage.removeItem(LAST);
}

/* What is too long for the local storage waits for the database alone. */
function noteLast(note) {
  try {
    localStorage.setItem(LAST, note);
  } catch {
    localStorage.removeItem(LAST);
  }
}

/* The codes of a label of so many voxels as they were kept last, if ever. */
async function keptCodes(store, key, voxels) {
  const [owner, runs] = localStorage.getItem(LAST)?.split(/\n([^]*)/) ?? [];
  if (owner === key) {
    const codes = codesOfRuns(runs, voxels);
    await keepCodes(store, key, codes);
    return codes;
  }
  return answered(store.transaction("kept").objectStore("kept").get(key));
}

const keepSmall = (key, value) => localStorage.setItem(key, JSON.stringify(value));
const keptSmall = (key) => JSON.parse(localStorage.getItem(key) ?? "{}");

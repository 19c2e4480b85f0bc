// Progress in this browser's own database, so that a closed tab loses nothing.

const DATABASE = "alsweep annotate";

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

/* Written at once: a tab that is closed right after it has sent it already. */
function keep(store, key, value) {
  const change = store.transaction("kept", "readwrite", { durability: "strict" });
  const written = answered(change.objectStore("kept").put(value, key));
  change.commit();
  return written;
}

const kept = (store, key) => answered(store.transaction("kept").objectStore("kept").get(key));

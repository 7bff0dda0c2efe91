// Which uploads this browser began, so that the same file goes on from where it stopped, after a reload, too.

const NAME = "portal-uploads";
const KEPT_MS = 72 * 3600 * 1000;

function read() {
  try {
    const entries = JSON.parse(localStorage.getItem(NAME) ?? "[]");
    return entries.filter((entry) => Date.now() - entry.at < KEPT_MS);
  } catch {
    return [];
  }
}

function write(entries) {
  try {
    localStorage.setItem(NAME, JSON.stringify(entries.slice(-50)));
  } catch {
    // storage is full or forbidden: uploads still work, they only can't be taken up after a reload
  }
}

function same(entry, person, file) {
  return (
    entry.person === person &&
    entry.name === file.name &&
    entry.size === file.size &&
    entry.modified === file.lastModified
  );
}

/** The upload of this very file that was begun before, or undefined. */
export function recall(person, file) {
  return read().find((entry) => same(entry, person, file));
}

/** Keep an upload in mind. */
export function keep(person, file, key, address) {
  const others = read().filter((entry) => !same(entry, person, file));
  const { name, size, lastModified: modified } = file;
  write([...others, { person, name, size, modified, key, address, at: Date.now() }]);
}

/** It is finished, refused or given up. */
export function forget(address) {
  write(read().filter((entry) => entry.address !== address));
}

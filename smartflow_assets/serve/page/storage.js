// What this browser remembers. A browser may forbid storage: then nothing is remembered, and the page works.

export function remembered(name, fallback = null, store = localStorage) {
  try {
    const text = store.getItem(`smartflow.${name}`);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

export function remember(name, value, store = localStorage) {
  try {
    if (value === null) store.removeItem(`smartflow.${name}`);
    else store.setItem(`smartflow.${name}`, JSON.stringify(value));
  } catch {
    return; // full or forbidden
  }
}

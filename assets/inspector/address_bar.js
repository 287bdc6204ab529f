import { readAddress, writeAddress } from "./address.js";

// Keeps the address bar at what is shown, from when the visitor has taken over.

const WRITE_AFTER_MS = 300;

export function makeAddressBar({ state, texts }) {
  let writing = 0;

  function replace(shown) {
    const search = writeAddress(location.search, shown);
    if (search === location.search) return;
    history.replaceState(history.state, "", (search === "?" ? location.pathname : search) + location.hash);
  }

  const bar = {
    writeSoon() {
      clearTimeout(writing);
      if (state.taken) writing = setTimeout(bar.write, WRITE_AFTER_MS);
    },
    write() {
      clearTimeout(writing);
      if (!state.trace) return;
      const { example, model } = state.trace.header;
      const { block, pixel, colouring } = state;
      replace({ example, model, block: block.name, pixel, view: colouring, lang: texts.lang });
    },
    /** The page has said where to go: what the address tells of another place no longer holds. */
    forget() {
      clearTimeout(writing);
      state.taken = false;
      replace({ lang: readAddress(location.search).lang });
    },
  };
  return bar;
}

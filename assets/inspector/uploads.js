// The picture that a visitor chose last. On its way to the server a small file overtakes a large one, which must not
// replace it when it comes; and while one is on its way, Gradio says nothing.

/** Keeps in mind which file was chosen last. Calls `changed` when that one takes long, arrives or is refused. */
export function makeUploads(changed, patience) {
  let last = null;
  let timer = null; // runs until the last one arrives
  let long = false;

  function stopWaiting() {
    clearTimeout(timer);
    long = false;
    changed();
  }

  return {
    /** Whether the last one has been on its way for longer than `patience` milliseconds. */
    takesLong: () => long,
    chosen(file) {
      stopWaiting();
      last = file;
      timer = setTimeout(() => {
        long = true;
        changed();
      }, patience);
    },
    /** Something went wrong, perhaps with the last one: an earlier one is welcome again. */
    refused() {
      last = null;
      stopWaiting();
    },
    /** Whether a file that has arrived, as Gradio describes it, is the last one. */
    arrived(file) {
      if (last && (file?.orig_name !== last.name || file.size !== last.size)) return false;
      stopWaiting();
      return true;
    },
  };
}

/** Listen to the page's button for files; the page asks window.lsnetUploads.arrived about what has come. */
export function listenToUploads(uploads) {
  const note = ({ target }) => {
    if (target.nextElementSibling?.id === "upload" && target.files?.length) uploads.chosen(target.files[0]);
  };
  document.addEventListener("change", note, true); // before Gradio, which empties the field
  window.lsnetUploads = uploads;
}

// A lecturer's clicker has two keys: they turn the pages of a step before they turn to another one.

const SHARE = 0.85; // of what is seen moves on at a time; the rest stays, to find the line again

/**
 * The rest of the text, then the answer, or back to the start.
 *
 * @param text what scrolls.
 * @param answer <details> in it, folded until the question has been seen; null where there is none.
 * @param by 1 or -1.
 * @returns {boolean} whether there was anything to turn.
 */
export function turnPage(text, answer, by) {
  const rest = by > 0 ? text.scrollHeight - text.clientHeight - text.scrollTop : text.scrollTop;
  const behavior = window.matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  if (rest > 2) {
    text.scrollBy({ top: by * Math.min(rest, SHARE * text.clientHeight), behavior });
    return true;
  }
  if (by < 0 || !answer || answer.open) return false;
  answer.open = true;
  answer.scrollIntoView({ block: "nearest", behavior });
  return true;
}

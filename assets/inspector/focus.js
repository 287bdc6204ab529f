// The keyboard keeps its place where buttons are made anew.

/** Replace what a node holds; where one of its buttons had the focus, the one in its place gets it. */
export function refill(node, children) {
  const place = [...node.querySelectorAll("button")].indexOf(document.activeElement);
  node.replaceChildren(...children);
  if (place >= 0) node.querySelectorAll("button")[place]?.focus({ preventScroll: true });
}

import { leaveToFinger } from "./finger.js";
import { fit } from "./fit.js";

/** Looks after every figure in an element, now and whenever one is drawn or the page gets another width. */
export function watchFigures(container) {
  const known = new WeakSet();
  const tend = (plot) => {
    fit(plot);
    leaveToFinger(plot);
  };
  const look = () => {
    for (const plot of container.querySelectorAll(".js-plotly-plot")) {
      if (known.has(plot) || !plot.on) continue;
      known.add(plot);
      plot.on("plotly_afterplot", () => tend(plot));
      tend(plot);
    }
  };
  new MutationObserver(look).observe(container, { childList: true, subtree: true });
  look();
}

import { any, make } from "./drawing.js";
import { pixelToToken } from "./geometry.js";
import { drawSmallWall } from "./kernel_wall.js";
import { channelsOf, inkOn } from "./scales.js";
import { cosine, kernelRange } from "./statistics.js";
import { number } from "./texts.js";

// Two pixels side by side, kernel by kernel, and their difference. With one pin, the other is the pointer.

export function makeCompareView(app) {
  const { state, scales, texts, theme } = app;
  const root = app.part("compare");
  const sides = ["a", "b", "difference"].map((name) => ({
    title: app.part(`compare-${name}-title`),
    canvas: app.part(`compare-${name}`),
  }));
  const text = app.part("compare-text");
  app.part("compare-clear").addEventListener("click", () => state.set({ pins: [] }));

  function tokenOf(pixel) {
    return pixelToToken(state.trace.header.frame, pixel.x, pixel.y, state.block);
  }

  function title(node, name, pixel) {
    node.replaceChildren();
    const badge = make("b", "lsx-pin", name);
    const colour = theme.pins[name] ?? theme.chalk;
    badge.style.backgroundColor = colour;
    badge.style.color = inkOn(channelsOf(colour), theme);
    node.append(badge, make("span", "", texts.say("compare.pixel", { x: pixel.x, y: pixel.y })));
  }

  return {
    draw(changed) {
      if (!any(changed, "trace", "pins", "token", "block", "group", "lang", "theme", "size")) return;
      const { block, pins } = state;
      root.hidden = !pins.length || !block.groups;
      if (root.hidden || (pins.length > 1 && changed.size === 1 && changed.has("token"))) return;
      const [first, second] = [pins[0], pins[1] ?? state.pixel];
      const [a, b] = [tokenOf(first), tokenOf(second)].map((token) => block.kernelsAt(app.tokenIndex(token)));
      const difference = a.map((weight, i) => b[i] - weight);
      title(sides[0].title, "A", first);
      title(sides[1].title, pins[1] ? "B" : "•", second);
      sides[2].title.textContent = texts.say("compare.difference");
      const width = sides[0].canvas.parentElement.clientWidth;
      const look = { block, range: kernelRange(block), scales, width, chosen: state.group, colour: app.neutral("accent") };
      [a, b, difference].forEach((kernels, i) => drawSmallWall(sides[i].canvas, kernels, look));
      const cut = (kernels) => kernels.subarray(state.group * block.taps, (state.group + 1) * block.taps);
      const all = number(cosine(a, b), 3);
      const one = number(cosine(cut(a), cut(b)), 3);
      const said = texts.say("compare.text", { all, group: state.group, one });
      text.textContent = pins[1] ? said : `${said} ${texts.say("compare.hint")}`;
    },
  };
}

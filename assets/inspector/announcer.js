import { any } from "./drawing.js";
import { tapOffset } from "./mixing.js";
import { number, percent } from "./texts.js";

// What a screen reader hears: pixel, block, strongest tap and its value, once the pointer has come to rest.

const REST_MS = 350;

export function makeAnnouncer(app) {
  const { state, texts } = app;
  let waiting = 0;

  function spoken() {
    const { block, pixel, token, group } = state;
    const place = { x: pixel.x, y: pixel.y, block: block.name, row: token.row, col: token.col };
    if (block.groups) {
      const kernel = block.kernelAt(app.tokenIndex(token), group);
      let tap = 0;
      kernel.forEach((weight, i) => (tap = Math.abs(weight) > Math.abs(kernel[tap]) ? i : tap));
      const name = block.taps === 9 ? texts.say(`tap.${tap}`) : texts.say("tap.at", tapOffset(tap, block.side));
      return texts.say("live.ls", { ...place, group, tap: name, value: number(kernel[tap], 2) });
    }
    if (block.heads) {
      const row = block.attentionRow(app.tokenIndex(token), state.head);
      const most = row.indexOf(Math.max(...row));
      const [toRow, toCol] = [Math.floor(most / block.cols), most % block.cols];
      return texts.say("live.msa", { ...place, toRow, toCol, value: percent(row[most]) });
    }
    return texts.say(block.kind === "dw" ? "live.dw" : "live.plain", place);
  }

  return {
    draw(changed) {
      if (state.pointedBy === "dot" || !any(changed, "token", "block", "group")) return;
      clearTimeout(waiting);
      waiting = setTimeout(() => (app.part("live").textContent = spoken()), REST_MS);
    },
  };
}

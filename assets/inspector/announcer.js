import { any } from "./drawing.js";
import { tapOffset } from "./mixing.js";
import { number, percent } from "./texts.js";

// What a screen reader hears: pixel, block, strongest tap and its value, once the pointer has come to rest.

const REST_MS = 350;

export function makeAnnouncer(app) {
  const { state, texts } = app;
  let waiting = 0;
  let pinned = false; // what has changed is a pin

  function spoken() {
    const pins = state.pins.length;
    const told = pinned ? [texts.say(pins ? "live.pinned" : "live.unpinned", { pins })] : [];
    pinned = false;
    if (state.block.heads && state.head !== null) told.push(texts.say("live.head", { head: state.head }));
    return [...told, place()].join(" ");
  }

  function place() {
    const { block, pixel, token, group } = state;
    const where = { x: pixel.x, y: pixel.y, block: block.name, row: token.row, col: token.col };
    if (block.groups) {
      const kernel = block.kernelAt(app.tokenIndex(token), group);
      let tap = 0;
      kernel.forEach((weight, i) => (tap = Math.abs(weight) > Math.abs(kernel[tap]) ? i : tap));
      const name = block.taps === 9 ? texts.say(`tap.${tap}`) : texts.say("tap.at", tapOffset(tap, block.side));
      return texts.say("live.ls", { ...where, group, tap: name, value: number(kernel[tap], 2) });
    }
    if (block.heads) {
      const row = block.attentionRow(app.tokenIndex(token), state.head);
      const most = row.indexOf(Math.max(...row));
      const [toRow, toCol] = [Math.floor(most / block.cols), most % block.cols];
      return texts.say("live.msa", { ...where, toRow, toCol, value: percent(row[most]) });
    }
    return texts.say(block.kind === "dw" ? "live.dw" : "live.plain", where);
  }

  return {
    draw(changed) {
      if (state.pointedBy === "dot" || !any(changed, "token", "block", "group", "head", "pins")) return;
      pinned = changed.has("pins") && !changed.has("trace");
      clearTimeout(waiting);
      waiting = setTimeout(() => (app.part("live").textContent = spoken()), REST_MS);
    },
  };
}

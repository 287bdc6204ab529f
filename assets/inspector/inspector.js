import { readAddress } from "./address.js";
import { makeAddressBar } from "./address_bar.js";
import { makeAnnouncer } from "./announcer.js";
import { copyText } from "./clipboard.js";
import { COLOURINGS } from "./colourings.js";
import { makeCompareView } from "./compare_view.js";
import { listenToControls } from "./controls.js";
import { any } from "./drawing.js";
import { makeEquationView } from "./equation_view.js";
import { makeFactsView } from "./facts_view.js";
import { makeFrameCounter } from "./frame_counter.js";
import { clampToCrop, pixelToToken } from "./geometry.js";
import { translateGradio } from "./gradio_words.js";
import { makeKernelWall } from "./kernel_wall.js";
import { listenToKeys } from "./keyboard.js";
import { followTheme } from "./page_theme.js";
import { readPayload } from "./payload_reader.js";
import { makePictureView } from "./picture_view.js";
import { listenToPointer } from "./pointer.js";
import { publishState } from "./published_state.js";
import { makeRibbon } from "./ribbon.js";
import { makeScales } from "./scales.js";
import { firstState, makeState } from "./state.js";
import { listenToTakehome } from "./takehome.js";
import { chooseLanguage, LANGUAGE_NAMES, makeTexts } from "./texts.js";
import { makeThreeWays } from "./three_ways.js";
import { startTravelling } from "./travelling_dot.js";

// The inspector: one state, the views that draw it, and the hand that a visitor has on it.

/** Called by gr.HTML once the template is in the page; `props` holds value, strings and theme. */
export function startInspector({ element, props, watch, trigger, server }) {
  const root = element.querySelector(".lsx");
  const app = { root, theme: props.theme, scales: makeScales(props.theme), texts: makeTexts(props.strings) };
  app.part = (name) => root.querySelector(`[data-part="${name}"]`);
  app.state = makeState(firstState(props.theme.colouringOpacity), draw);
  const { state, texts } = app;
  let views = [];
  let stopTravelling = null;
  const arrival = readAddress(props.address ?? location.search); // a page to take home brings its place along
  const addressBar = makeAddressBar(app);
  let loading = 0;
  let loaded = null; // where the shown picture came from
  let shown = props.value?.key; // its analysis, as the server calls it
  let following = false; // a camera's frame is being fetched
  let another = false; // a later one has come meanwhile
  const frames = makeFrameCounter();
  let waiting = new Set(); // what has changed since the last drawing

  app.neutral = (name) => app.theme[state.theme][name];
  app.tokenIndex = ({ row, col }) => row * state.block.cols + col;
  app.similarityToken = () => (state.pins.length ? tokenOf(state.pins[0]) : state.token);
  app.nearestBlock = (suits) => {
    const distance = (block) => Math.abs(block.index - state.block.index) + (block.index < state.block.index ? 0.5 : 0);
    return state.trace.blocks.filter(suits).toSorted((a, b) => distance(a) - distance(b))[0] ?? null;
  };
  app.point = point;
  app.goTo = goTo;
  app.pin = pin;
  app.copy = (text, button) => copyText(app, text, button);
  app.present = present;
  app.setLanguage = setLanguage;
  app.tellLanguage = (lang) => trigger?.("select", { lang });
  app.takeOver = takeOver;
  // A page to take home is written by the server, which has everything; there is none behind such a page itself.
  app.writePage = server?.standalone ? (place) => server.standalone({ key: shown, ...place }) : null;

  app.pictureView = makePictureView(app);
  const facts = makeFactsView(app);
  views = [
    app.pictureView,
    makeKernelWall(app),
    makeThreeWays(app),
    makeCompareView(app),
    // Canvases come first: text in the page that has just changed makes drawing on them slower.
    makeEquationView(app),
    makeRibbon(app),
    listenToTakehome(app),
    facts,
    makeAnnouncer(app),
  ];
  app.showLegend = facts.showLegend;

  listenToPointer(app);
  listenToKeys(app);
  listenToControls(app, addressBar);
  followTheme(app);
  translateGradio(app);
  setLanguage(chooseLanguage(arrival.lang, navigator.language));
  new ResizeObserver(() => state.set({ size: root.clientWidth })).observe(root);
  window.addEventListener("resize", () => state.touch("size"));
  publishState(app);
  watch("value", load);
  load();

  function tokenOf(pixel) {
    return pixelToToken(state.trace.header.frame, pixel.x, pixel.y, state.block);
  }

  function draw(now) {
    for (const key of now) waiting.add(key);
    if (!state.trace || !root.clientWidth) return; // in a tab that is not shown
    const changed = waiting;
    waiting = new Set();
    const start = performance.now();
    for (const view of views) view.draw(changed);
    state.drawMs = performance.now() - start;
    if (!props.address && any(changed, "block", "pixel", "colouring", "lang", "trace")) addressBar.writeSoon();
    if (changed.has("trace")) root.dataset.ready = "true";
    else if (any(changed, "block", "pins")) tellPage();
  }

  /** The page's other views follow the chosen block and the place pinned last. Moving about asks nothing of it. */
  function tellPage() {
    trigger("input", { key: shown, block: state.block.name, pixel: state.pins.at(-1) ?? state.pixel });
  }

  // What is shown

  async function load() {
    const { file, key, live = false, go = null, at = null } = props.value ?? {};
    if (!file?.url) return;
    if (go && file.url === loaded) {
      loading += 1; // what is on its way is no longer wanted
      delete root.dataset.busy;
      show(state.trace, state.bitmap, go);
      return;
    }
    if (live && following) {
      another = true; // on a slow machine every frame would otherwise be overtaken before it is shown
      return;
    }
    following = live;
    const turn = ++loading;
    root.dataset.busy = "true";
    try {
      const fetched = fetchPayload(file.url);
      if (live) fetched.catch(() => null).then(() => trigger("play", { key })); // the next one may come
      const trace = readPayload(await fetched);
      const bitmap = await createImageBitmap(trace.picture);
      if (turn !== loading) return; // a newer picture is on its way
      shown = key;
      const rate = live ? frames.rate(performance.now()) : null;
      if (live && state.live !== null && seenAlike(trace, state.trace)) showFrame(trace, bitmap);
      else show(trace, bitmap, go, at);
      loaded = file.url;
      state.set({ live: rate });
      message(null);
    } catch (error) {
      if (turn === loading && !live) message("error.load"); // a frame that is missed is followed by others
      console.warn(error);
    } finally {
      if (turn === loading) delete root.dataset.busy;
      following = false;
      if (another) {
        another = false;
        load();
      }
    }
  }

  async function fetchPayload(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return response.arrayBuffer();
  }

  /** Show a picture, where the page says (`go`: block, px and view, all of them), or the address, or the page (`at`). */
  function show(trace, bitmap, go = null, at = null) {
    const { header, blocks } = trace;
    // What the address asks for holds until its picture is here, or the visitor has taken over.
    const link = go ?? (state.taken ? readAddress("") : arrival);
    const px = go || link.img === header.example ? link.px : null;
    const named = (name) => blocks.find((b) => b.name === name);
    const wanted = named(link.block) ?? (go ? null : named(state.block?.name));
    const block = wanted ?? blocks.find((b) => b.groups) ?? blocks.find((b) => b.heads) ?? blocks[0];
    const [x, y] = header.focus[0] ?? header.frame.picture.map((side) => Math.floor(side / 2));
    const place = px ?? at ?? { x, y };
    const pixel = clampToCrop(header.frame, place.x, place.y);
    state.trace = trace; // before the rest, which is computed with it
    state.set({ bitmap, block, pixel, pins: [], head: null, slot: 0 });
    state.group = go ? 0 : Math.min(state.group, Math.max(0, (block.groups || 1) - 1));
    if (COLOURINGS.includes(link.view)) state.set({ colouring: link.view });
    state.set({ token: tokenOf(pixel) });
    state.touch("trace");
    if (go) addressBar.forget();
    travel(px !== null);
    state.flush();
  }

  /** Whether the same network saw pictures of the same size in the same way. */
  function seenAlike({ header }, { header: before }) {
    return header.source === before.source && JSON.stringify(header.frame) === JSON.stringify(before.frame);
  }

  /** The camera's next frame: same size, same place, other kernels. */
  function showFrame(trace, bitmap) {
    const block = trace.blocks[state.block.index] ?? trace.blocks[0];
    const pixel = clampToCrop(trace.header.frame, state.pixel.x, state.pixel.y);
    state.trace = trace; // before the rest, which is computed with it
    state.set({ bitmap, block, pixel });
    state.set({ token: tokenOf(pixel) });
    state.touch("trace");
    state.flush();
  }

  function travel(still) {
    stopTravelling?.();
    stopTravelling = null;
    const { focus } = state.trace.header;
    if (state.taken || still || focus.length < 2) return;
    stopTravelling = startTravelling(focus, (at) => {
      if (root.isConnected) point(clampToCrop(state.trace.header.frame, at.x, at.y), "dot");
      else takeOver(); // Gradio has replaced the component
    });
  }

  function takeOver() {
    state.taken = true;
    stopTravelling?.();
    stopTravelling = null;
  }

  function point(pixel, by) {
    state.pointedBy = by;
    const { x, y } = state.pixel;
    if (x === pixel.x && y === pixel.y) return;
    const token = tokenOf(pixel);
    const same = state.token.row === token.row && state.token.col === token.col;
    state.set(same ? { pixel } : { pixel, token });
  }

  function goTo(index) {
    const block = state.trace.blocks[Math.min(Math.max(index, 0), state.trace.blocks.length - 1)];
    if (block === state.block) return;
    state.set({ block });
    const dynamic = block.groups ? block : app.nearestBlock((other) => other.groups > 0);
    state.set({ token: tokenOf(state.pixel), slot: 0, head: null });
    if (dynamic) state.set({ group: Math.min(state.group, dynamic.groups - 1) });
  }

  function pin(pixel) {
    const token = tokenOf(pixel);
    const near = state.pins.findIndex((other) => {
      const at = tokenOf(other);
      return at.row === token.row && at.col === token.col;
    });
    if (near >= 0) state.set({ pins: state.pins.filter((_, i) => i !== near) });
    else state.set({ pins: [...state.pins.slice(0, 1), { ...pixel }] });
  }

  // How it speaks, and how large

  function setLanguage(lang) {
    texts.lang = lang;
    root.lang = lang;
    if (!props.address) document.documentElement.lang = lang; // the whole page speaks it
    state.set({ lang });
    texts.apply(root);
    const other = lang === "en" ? "zh-CN" : "en";
    app.part("language").textContent = LANGUAGE_NAMES[other];
    app.part("language").lang = other;
    window.dispatchEvent(new CustomEvent("lsnet-language", { detail: lang }));
  }

  function present(on) {
    root.classList.toggle("lsx-presenting", on);
    app.part("present").setAttribute("aria-pressed", String(on));
    // The whole page, since lessons stand beside the inspector.
    if (on) document.documentElement.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement) document.exitFullscreen();
    state.set({ present: on });
    state.touch("size");
    app.part("picture-upper").focus({ preventScroll: true });
    window.dispatchEvent(new CustomEvent("lsnet-present", { detail: on }));
  }

  function message(key) {
    const node = app.part("message");
    node.hidden = !key;
    node.textContent = key ? texts.say(key) : "";
  }
}

import { saveFile } from "../inspector/save_file.js";
import { chooseLanguage, makeTexts } from "../inspector/texts.js";
import { walkByKeys } from "./keys.js";
import { asksForSomething, readLessonLink, writeLessonLink } from "./lesson_link.js";
import { showDots, showLessonList } from "./lesson_list.js";
import { turnPage } from "./page_turner.js";
import { makeProgress } from "./progress.js";
import { isPresenting, lookAt, makeRoom, switchPresenting } from "./stage.js";

// The drawer: a list of lessons, or one step. The page is asked to show what a step says; texts come by themselves.

/** Called by gr.HTML once the template is in the page; `props` holds strings and outline, both by language. */
export function startLessons({ element, props, server, trigger }) {
  const root = element.querySelector(".lsl");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const texts = makeTexts(props.strings, "lessons.");
  const progress = makeProgress(storageOf(window));
  const known = new Map(); // texts of steps that were shown, by lesson and step
  const state = { open: false, folded: false, lesson: null, step: 0 };
  const lessons = () => props.outline[texts.lang];
  const lesson = () => lessons()[state.lesson];

  listen();
  setLanguage(chooseLanguage(new URLSearchParams(location.search).get("lang"), navigator.language));
  arrive();

  function arrive() {
    const link = readLessonLink(location.search);
    const index = link ? lessons().findIndex(({ slug, number }) => [slug, String(number)].includes(link.lesson)) : -1;
    part("tour").hidden = progress.tourWasOffered() || asksForSomething(location.search);
    if (index < 0) return;
    // The page has read the same link and shows the step's state by itself.
    const step = lessons()[index].steps.findIndex(({ name }) => name === link.step);
    open(false);
    enter(index, Math.max(step, 0), false);
  }

  // What is shown

  function open(focus = true) {
    state.open = true;
    endTour();
    draw();
    if (focus) part("drawer").focus({ preventScroll: true });
  }

  function close() {
    state.open = false;
    if (isPresenting()) switchPresenting();
    history.replaceState(history.state, "", writeLessonLink(location.search, null) || location.pathname);
    draw();
    part("open").focus({ preventScroll: true });
  }

  /** Show a step; `apply` asks the page for its state, which a link has asked for already. */
  function enter(index, step, apply = true) {
    Object.assign(state, { lesson: index, step, folded: false });
    const names = { lesson: lesson().slug, step: lesson().steps[step].name };
    progress.see(lesson(), lesson().steps[step]);
    part("reveal").open = false;
    const chosen = part("list").contains(document.activeElement); // which goes, and would take the keyboard's place along
    draw();
    if (chosen) part("step").focus({ preventScroll: true });
    part("step").scrollTop = 0;
    const place = { step: step + 1, steps: lesson().steps.length, title: lesson().steps[step].title };
    part("live").textContent = texts.say("dot", place);
    if (apply) {
      history.replaceState(history.state, "", writeLessonLink(location.search, names));
      showMe();
      return;
    }
    lookAt(lookOf(names));
    fetchTexts(names);
  }

  function showMe() {
    const names = { lesson: lesson().slug, step: lesson().steps[state.step].name };
    trigger("input", names);
    lookAt(lookOf(names));
    fetchTexts(names);
  }

  function lookOf({ step }) {
    return lesson().steps.find(({ name }) => name === step).look;
  }

  async function fetchTexts({ lesson: slug, step }) {
    const key = `${slug}/${step}`;
    const here = () => state.lesson !== null && key === `${lesson().slug}/${lesson().steps[state.step].name}`;
    if (known.has(key)) return;
    try {
      known.set(key, await server.step({ lesson: slug, step }));
      if (here()) draw();
    } catch (error) {
      console.warn(error);
      if (here()) problem("error.step");
    }
  }

  function goList() {
    state.lesson = null;
    history.replaceState(history.state, "", writeLessonLink(location.search, null) || location.pathname);
    draw();
    part("drawer").focus({ preventScroll: true });
  }

  /** One step on or back; past the end of a lesson comes the next one, and the list after the last. */
  function walk(by) {
    if (state.lesson === null) return;
    const step = state.step + by;
    if (step >= 0 && step < lesson().steps.length) enter(state.lesson, step);
    else if (by > 0 && state.lesson + 1 < lessons().length) enter(state.lesson + 1, 0);
    else if (by > 0) goList();
  }

  /** A page on or back, and past a step's last page a step. */
  function turn(by) {
    if (state.lesson === null || (by > 0 && part("step").ariaBusy === "true")) return; // no page is passed over unseen
    const answer = part("question-box").hidden ? null : part("reveal");
    if (!turnPage(part("step"), answer, by)) walk(by);
  }

  function draw() {
    const inStep = state.lesson !== null;
    part("drawer").hidden = !state.open;
    part("drawer").dataset.folded = String(state.folded);
    part("open").setAttribute("aria-expanded", String(state.open));
    part("fold").setAttribute("aria-expanded", String(!state.folded));
    for (const name of ["step", "foot", "dots", "to-list"]) part(name).hidden = !inStep;
    part("list").hidden = inStep;
    part("present").setAttribute("aria-pressed", String(isPresenting()));
    makeRoom(state.open, state.folded);
    if (inStep) drawStep();
    else drawList();
  }

  function drawList() {
    part("where").textContent = texts.say("title");
    problem(null);
    showLessonList(part("lessons"), lessons(), progress, texts, enter, printWorksheet);
    part("clear").hidden = lessons().every((one) => progress.seen(one).size === 0);
  }

  function drawStep() {
    const { slug, number, title, steps } = lesson();
    const step = steps[state.step];
    part("where").textContent = texts.say("where", { number, title });
    part("title").textContent = step.title;
    showDots(part("dots"), lesson(), state.step, progress, texts, (index) => enter(state.lesson, index));
    const said = known.get(`${slug}/${step.name}`)?.[texts.lang];
    problem(null);
    part("step").setAttribute("aria-busy", String(!said));
    // Our own Markdown, made HTML on the server, which lets no tag of a text through (viz/lesson_html.py).
    for (const name of ["text", "try", "question", "answer"]) part(name).innerHTML = said?.[name] ?? "";
    part("try-box").hidden = !said;
    part("question-box").hidden = !said?.question;
    part("look").hidden = step.look === "picture";
    part("look").dataset.look = step.look;
    part("look-there-text").textContent = texts.say(`look.${step.look}`);
    part("back").setAttribute("aria-disabled", String(state.step === 0)); // it may have the focus, and keeps it
    const last = state.step === steps.length - 1;
    const beyond = state.lesson + 1 < lessons().length ? "nextLesson" : "allLessons";
    part("next-text").textContent = texts.say(last ? beyond : "next");
  }

  function problem(key) {
    tellProblem(key && texts.say(key));
  }

  function tellProblem(sentence) {
    part("problem").hidden = !sentence;
    part("problem").textContent = sentence ?? "";
  }

  function setLanguage(lang) {
    texts.lang = lang;
    root.lang = lang;
    texts.apply(root);
    draw();
  }

  function endTour() {
    part("tour").hidden = true;
    progress.rememberTour();
  }

  // How it is reached

  function listen() {
    const on = (name, action) => part(name).addEventListener("click", action);
    on("open", () => (state.open ? close() : open()));
    on("tour-start", () => {
      open();
      enter(0, 0);
    });
    on("tour-skip", endTour);
    on("close", close);
    on("to-list", goList);
    on("back", () => walk(-1));
    on("next", () => walk(1));
    on("show", showMe);
    on("look-picture", () => lookAt("picture"));
    on("look-there", () => lookAt(lesson().steps[state.step].look));
    on("present", switchPresenting);
    on("copy-link", copyLink);
    on("take-home", takeHome);
    on("worksheet", () => printWorksheet(lesson()));
    on("fold", () => {
      state.folded = !state.folded;
      draw();
    });
    on("clear", () => {
      progress.clear();
      drawList();
      part("drawer").focus({ preventScroll: true });
    });
    walkByKeys(part("drawer"), { walk, turn, close });
    window.addEventListener("lsnet-language", (event) => setLanguage(event.detail));
    window.addEventListener("lsnet-present", () => {
      draw();
      const inStep = state.open && state.lesson !== null;
      lookAt(inStep ? lesson().steps[state.step].look : "picture");
      if (inStep && isPresenting()) part("step").focus({ preventScroll: true }); // a lecturer's keys walk on from here
    });
  }

  /** A worksheet in a tab of its own, which the browser opens only in answer to a click. */
  async function printWorksheet({ number, slug }) {
    const tab = window.open("", "_blank");
    try {
      const page = await server.worksheet({ number, language: texts.lang });
      const file = new Blob([page], { type: "text/html" });
      if (tab) tab.location = URL.createObjectURL(file);
      else saveFile(file, `${slug}.html`);
    } catch (error) {
      console.warn(error);
      tab?.close();
      problem("error.worksheet");
    }
  }

  /** The step as a file that needs neither server nor network. */
  async function takeHome() {
    const [button, { slug }, { name: step }] = [part("take-home"), lesson(), lesson().steps[state.step]];
    const label = button.querySelector("span");
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true"); // it keeps the focus
    label.textContent = texts.say("takeHome.busy");
    problem(null);
    let answer = null;
    try {
      answer = await server.take_home({ lesson: slug, step, language: texts.lang });
    } catch (error) {
      console.warn(error);
    }
    const here = state.lesson !== null && lesson().slug === slug && lesson().steps[state.step].name === step;
    if (answer?.page) saveFile(new Blob([answer.page], { type: "text/html" }), `${slug}-${step}.html`);
    else if (here) tellProblem(answer?.problem ?? texts.say("error.takeHome"));
    label.textContent = texts.say("takeHome");
    button.setAttribute("aria-disabled", "false");
  }

  async function copyLink() {
    const names = { lesson: lesson().number, step: lesson().steps[state.step].name };
    const link = `${location.origin}${location.pathname}${writeLessonLink("", names, texts.lang)}`;
    const label = part("copy-link").querySelector("span");
    try {
      await navigator.clipboard.writeText(link);
      label.textContent = texts.say("copied");
    } catch {
      window.prompt(texts.say("copyLink.tip"), link); // the browser forbids it, as on plain http
    }
    setTimeout(() => (label.textContent = texts.say("copyLink")), 1600);
  }
}

/** localStorage, or null where a browser forbids even to ask for it. */
function storageOf(view) {
  try {
    return view.localStorage;
  } catch {
    return null;
  }
}

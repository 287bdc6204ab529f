import { refill } from "../inspector/focus.js";

// The six lessons, how long they take and how much of each was seen.

/** Fills `node` with a button for every lesson; `choose` gets the index of the lesson and of its next step, `print` a lesson. */
export function showLessonList(node, outline, progress, texts, choose, print) {
  node.replaceChildren(
    ...outline.map((lesson, index) => {
      const seen = progress.seen(lesson);
      const done = seen.size === lesson.steps.length;
      const next = done ? 0 : lesson.steps.findIndex(({ name }) => !seen.has(name));
      const button = newElement("button", "lsl-lesson");
      button.type = "button";
      const bar = newElement("span", "lsl-share");
      bar.append(newElement("i"));
      bar.style.setProperty("--share", seen.size / lesson.steps.length);
      const facts = { minutes: lesson.minutes, seen: seen.size, steps: lesson.steps.length };
      const told = texts.say(done ? "facts.done" : seen.size ? "facts.some" : "facts", facts);
      button.append(
        newElement("b", "lsl-number", String(lesson.number)),
        newElement("span", "lsl-title", lesson.title),
        newElement("span", "lsl-quiet", told),
        bar,
      );
      button.addEventListener("click", () => choose(index, next));
      const sheet = newElement("button", "lsl-link", texts.say("worksheet"));
      sheet.type = "button";
      sheet.setAttribute("aria-label", texts.say("worksheet.of", { title: lesson.title }));
      sheet.addEventListener("click", () => print(lesson));
      const item = newElement("li");
      item.append(button, sheet);
      return item;
    }),
  );
}

/** Fills `node` with a small button for every step of a lesson. */
export function showDots(node, lesson, current, progress, texts, choose) {
  const seen = progress.seen(lesson);
  refill(
    node,
    lesson.steps.map((step, index) => {
      const button = newElement("button", "lsl-dot", String(index + 1));
      button.type = "button";
      button.title = step.title;
      const place = { step: index + 1, steps: lesson.steps.length, title: step.title };
      button.setAttribute("aria-label", texts.say("dot", place));
      button.dataset.seen = String(seen.has(step.name));
      if (index === current) button.setAttribute("aria-current", "step");
      button.addEventListener("click", () => choose(index));
      const item = newElement("li");
      item.append(button);
      return item;
    }),
  );
}

function newElement(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

import assert from "node:assert/strict";
import { test } from "node:test";

import { asksForSomething, readLessonLink, writeLessonLink } from "../../assets/lesson_drawer/lesson_link.js";
import { makeProgress } from "../../assets/lesson_drawer/progress.js";

const LESSON = { slug: "a-lesson", steps: [{ name: "first" }, { name: "second" }] };

function makeStorage() {
  const values = new Map();
  return { getItem: (key) => values.get(key) ?? null, setItem: (key, value) => values.set(key, value) };
}

test("a link is what was written", () => {
  const link = writeLessonLink("", { lesson: 2, step: "at-the-edge" }, "zh-CN");
  assert.equal(link, "?lesson=2&step=at-the-edge&lang=zh-CN");
  assert.deepEqual(readLessonLink(link), { lesson: "2", step: "at-the-edge" });
  assert.equal(readLessonLink("?img=cat"), null);
});

test("a step replaces where one has been, and leaves the rest of the address alone", () => {
  const before = "?img=cat&px=1,2&block=b&model=m&view=v&tab=cost&set.show=model&lang=en&__theme=dark";
  assert.equal(writeLessonLink(before, { lesson: "x", step: "y" }), "?lang=en&__theme=dark&lesson=x&step=y");
  assert.equal(writeLessonLink("?lesson=x&step=y&img=cat&px=1,2", null), "?img=cat&px=1,2");
  assert.equal(writeLessonLink("?lesson=x&step=y", null), "");
});

test("only a link without a wish is a first visit", () => {
  for (const query of ["?img=cat", "?tab=cost", "?lesson=1"]) assert.ok(asksForSomething(query), query);
  for (const query of ["", "?lang=en", "?__theme=dark"]) assert.ok(!asksForSomething(query), query);
});

test("progress outlives the page, until it is cleared", () => {
  const storage = makeStorage();
  const first = makeProgress(storage);
  assert.equal(first.seen(LESSON).size, 0);
  first.see(LESSON, LESSON.steps[1]);
  first.see(LESSON, LESSON.steps[1]);
  first.rememberTour();
  const later = makeProgress(storage);
  assert.deepEqual([...later.seen(LESSON)], ["second"]);
  assert.ok(later.tourWasOffered());
  later.clear();
  assert.equal(makeProgress(storage).seen(LESSON).size, 0);
  assert.ok(makeProgress(storage).tourWasOffered());
});

test("a browser that keeps nothing, or something broken, is no reason to fail", () => {
  const refusing = {
    getItem: () => {
      throw new Error("forbidden");
    },
    setItem: () => {
      throw new Error("forbidden");
    },
  };
  const broken = { getItem: () => "{not json", setItem: () => {} };
  for (const storage of [null, refusing, broken]) {
    const progress = makeProgress(storage);
    progress.see(LESSON, LESSON.steps[0]);
    progress.rememberTour();
    assert.ok(progress.tourWasOffered());
  }
  const progress = makeProgress(refusing);
  progress.see(LESSON, LESSON.steps[0]);
  assert.deepEqual([...progress.seen(LESSON)], ["first"]);
});

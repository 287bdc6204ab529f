// Links for lecturers: ?lesson=2&step=at-the-edge. What else stands in the address says where a visitor has wandered.

const OF_A_STATE = ["img", "model", "block", "px", "view", "tab"];

/** @returns {{lesson: string, step: string | null} | null} what the address asks for, by number or name */
export function readLessonLink(search) {
  const query = new URLSearchParams(search);
  const lesson = query.get("lesson");
  return lesson ? { lesson, step: query.get("step") } : null;
}

/** The address of a step, or of none; what belongs to neither, such as __theme, stays. */
export function writeLessonLink(search, step, lang = null) {
  const query = new URLSearchParams(search);
  const gone = [...query.keys()].filter((key) => OF_A_STATE.includes(key) || key.startsWith("set."));
  for (const key of step ? [...gone, "lesson", "step"] : ["lesson", "step"]) query.delete(key);
  if (step) {
    query.set("lesson", step.lesson);
    query.set("step", step.step);
  }
  if (lang) query.set("lang", lang);
  const written = query.toString().replaceAll("%2C", ",").replaceAll("%2F", "/");
  return written && `?${written}`;
}

/** Whether the address asks for anything that a visitor should see first. */
export function asksForSomething(search) {
  const query = new URLSearchParams(search);
  return [...OF_A_STATE, "lesson"].some((key) => query.has(key));
}

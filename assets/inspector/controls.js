import { COLOURINGS } from "./colourings.js";

// The menus, boxes and buttons around the picture.

/** Each sets the state, or asks the page to do what it is named after. */
export function listenToControls(app, addressBar) {
  const { state, texts } = app;
  const on = (name, kind, action) => app.part(name).addEventListener(kind, action);
  for (const colouring of COLOURINGS) {
    const option = new Option("", colouring);
    option.dataset.text = `colouring.${colouring}`;
    app.part("colouring").append(option);
  }
  on("colouring", "change", (event) => state.set({ colouring: event.target.value }));
  on("scope", "change", (event) => state.set({ scope: event.target.value }));
  on("opacity", "input", (event) => state.set({ opacity: Number(event.target.value) / 100 }));
  app.part("opacity").value = String(100 * state.opacity);
  on("grid", "change", (event) => state.set({ grid: event.target.checked }));
  on("language", "click", () => {
    app.setLanguage(texts.lang === "en" ? "zh-CN" : "en");
    app.tellLanguage(texts.lang);
  });
  on("copy-link", "click", () => {
    addressBar.write();
    app.copy(location.href, app.part("copy-link"));
  });
  on("present", "click", () => app.present(!state.present));
  on("takehome", "toggle", () => state.touch("group"));
  document.addEventListener("fullscreenchange", () => {
    if (!document.fullscreenElement && state.present) app.present(false);
  });
}

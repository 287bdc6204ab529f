// The page's theme is the inspector's.

/** Light or dark, as the page is, now and whenever it changes. */
export function followTheme(app) {
  const { root, state } = app;
  const read = () => {
    const dark = [document.documentElement, document.body].some((node) => node.classList.contains("dark"));
    const name = dark ? "dark" : "light";
    root.dataset.theme = name;
    for (const [key, value] of Object.entries(app.theme[name])) root.style.setProperty(`--lsx-${key}`, value);
    for (const key of ["perception", "aggregation", "chalk", "font"]) {
      root.style.setProperty(`--lsx-${key}`, app.theme[key]);
    }
    state.set({ theme: name });
  };
  read();
  const observer = new MutationObserver(read);
  const watched = { attributes: true, attributeFilter: ["class"] };
  for (const node of [document.documentElement, document.body]) observer.observe(node, watched);
}

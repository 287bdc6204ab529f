import { startInspector } from "../inspector/inspector.js";

// A page that brings its own payload: unpacks it, starts the inspector on it, and follows the reader's theme and language.

/**
 * @param {{strings: object, theme: object, address: string, titles: Object<string, string>}} page `address` is the place
 *   to open at, as the app's links write it; `titles` are the window's, by language
 */
export async function openPage(page) {
  const element = document.getElementById("inspector");
  const language = document.getElementById("language");
  followScheme();
  try {
    const url = URL.createObjectURL(new Blob([await unpacked(document.getElementById("payload"))]));
    const { strings, theme, address } = page;
    const props = { value: { file: { url } }, strings, theme, address };
    startInspector({ element, props, watch: () => {}, trigger: (event, { lang }) => event === "select" && show(lang) });
    show(element.querySelector(".lsx").lang);
    const own = element.querySelector('[data-part="language"]');
    language.addEventListener("click", () => own.click());
  } catch (error) {
    const problem = document.getElementById("problem");
    problem.textContent = Object.values(page.strings).map((texts) => texts["takehome.problem"]).join(" ");
    problem.hidden = false;
    language.hidden = true;
    console.warn(error);
  }

  function show(lang) {
    document.documentElement.lang = lang;
    document.title = page.titles[lang];
    for (const node of document.querySelectorAll("[data-language]")) node.hidden = node.dataset.language !== lang;
    const { textContent, lang: other } = element.querySelector('[data-part="language"]');
    language.textContent = textContent;
    language.lang = other;
  }
}

/** The bytes of a script element that holds them gzipped, in base64. */
async function unpacked(node) {
  const letters = atob(node.textContent);
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < packed.length; i++) packed[i] = letters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** The inspector goes by a class, as in the app; here the reader's system sets it. */
function followScheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark", dark.matches);
  dark.addEventListener("change", follow);
  follow();
}

// The way to the visitor's clipboard, also where the browser gives none.

/** Copy text; the button that asked for it says whether it worked. */
export async function copyText({ root, texts }, text, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    root.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  const label = button.querySelector("[data-text]") ?? button;
  label.textContent = texts.say(done ? "copied" : "copy.failed");
  setTimeout(() => (label.textContent = texts.say(label.dataset.text)), 1600);
}

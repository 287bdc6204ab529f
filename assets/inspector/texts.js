// Words in the visitor's language. Elements say by attribute which text they carry, so a switch needs no request.

const FALLBACK = "en";

/** Each language's name for itself. */
export const LANGUAGE_NAMES = { en: "English", "zh-CN": "简体中文" };

/** "zh", "zh-CN" and the like are Simplified Chinese; everything else is English. */
export function chooseLanguage(...wishes) {
  const wish = wishes.find(Boolean) ?? FALLBACK;
  return /^zh/i.test(wish) ? "zh-CN" : FALLBACK;
}

/**
 * @param {Object<string, Object<string, string>>} strings texts by language and key
 * @param {string} prefix what all keys start with
 */
export function makeTexts(strings, prefix = "inspector.") {
  const texts = {
    lang: FALLBACK,
    /** The text of a key, with {name} replaced by values. */
    say(key, values = {}) {
      const text = strings[texts.lang]?.[prefix + key] ?? strings[FALLBACK]?.[prefix + key] ?? key;
      return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
    },
    /** Fill every element that names its text: data-text, data-label (ARIA) and data-tip (tooltip). */
    apply(root) {
      const each = (name, use) => {
        for (const node of root.querySelectorAll(`[data-${name}]`)) use(node, texts.say(node.dataset[name]));
      };
      each("text", (node, text) => (node.textContent = text));
      each("label", (node, text) => node.setAttribute("aria-label", text));
      each("tip", (node, text) => (node.title = text));
    },
  };
  return texts;
}

/** A number as one reads it: a true minus sign, three significant digits in a stable width. */
export function number(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (size >= 10000 || (size > 0 && size < 0.0005)) {
    return sign + superscript(size.toExponential(1).replace("e", "·10^").replace("^+", "^"));
  }
  const decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return sign + size.toFixed(size >= 10 ? Math.min(decimals, digits) : digits);
}

/** Numbers that stand together: as many decimals as the largest of them deserves. */
export function numbers(values) {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  const decimals = largest > 0 ? Math.min(5, Math.max(largest < 10 ? 2 : 1, 1 - Math.floor(Math.log10(largest)))) : 0;
  return Array.from(values, (value) => {
    const text = Math.abs(value).toFixed(decimals);
    return Number(text) === 0 ? "0" : (value < 0 ? "−" : "") + text;
  });
}

function superscript(text) {
  const raised = { 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹", "-": "⁻" };
  return text.replace(/\^([-\d]+)/, (_, power) => [...power].map((sign) => raised[sign]).join(""));
}

export function percent(value) {
  return `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)}%`;
}

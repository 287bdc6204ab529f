// What the address bar says. A visitor's own picture is never put there: without an example, no img and no px.

/** @returns {{img, model, block, px: {x, y} | null, view, lang}} null for what is absent or malformed */
export function readAddress(search) {
  const query = new URLSearchParams(search);
  const px = /^(\d{1,5}),(\d{1,5})$/.exec(query.get("px") ?? "");
  return {
    img: query.get("img"),
    model: query.get("model"),
    block: query.get("block"),
    px: px ? { x: Number(px[1]), y: Number(px[2]) } : null,
    view: query.get("view"),
    lang: query.get("lang"),
  };
}

/** The query string for a state; parameters of others, such as __theme, stay. */
export function writeAddress(search, { example, model, block, pixel, view, lang }) {
  const query = new URLSearchParams(search);
  const put = (key, value) => (value ? query.set(key, value) : query.delete(key));
  put("img", example);
  put("model", model);
  put("block", block);
  put("px", example && pixel ? `${pixel.x},${pixel.y}` : null);
  put("view", view === "none" ? null : view);
  put("lang", lang);
  return `?${query.toString().replaceAll("%2C", ",").replaceAll("%2F", "/")}`;
}

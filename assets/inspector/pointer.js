// Everything the mouse or a finger can do on the picture.

/** Moving points, a click pins, and a hand anywhere on the inspector stops the travelling dot. */
export function listenToPointer(app) {
  const { root, state } = app;
  const canvas = app.part("picture-upper");
  let pressed = null;
  const follow = (event) => {
    if (!state.trace) return;
    app.takeOver();
    app.point(app.pictureView.pixelOf(event), "pointer");
  };
  canvas.addEventListener("pointermove", follow);
  canvas.addEventListener("pointerdown", (event) => {
    pressed = { x: event.clientX, y: event.clientY };
    follow(event);
  });
  canvas.addEventListener("pointerup", (event) => {
    const still = pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < 5;
    pressed = null;
    if (still && state.trace) app.pin(app.pictureView.pixelOf(event));
  });
  for (const kind of ["pointerdown", "keydown"]) root.addEventListener(kind, app.takeOver);
}

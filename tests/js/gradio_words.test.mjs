import assert from "node:assert/strict";
import { test } from "node:test";

import { readProgress, readToast } from "../../assets/inspector/gradio_words.js";

test("the place in the queue is read out of Gradio's progress text", () => {
  assert.deepEqual(readProgress(" queue: 3/12 | 0.4/1.3s"), { key: "queue.place", values: { place: 3, size: 12 } });
  assert.deepEqual(readProgress("processing | 1.2/1.3s"), { key: "queue.turn", values: {} });
  assert.deepEqual(readProgress("11.8s"), { key: "queue.turn", values: {} });
});

test("messages of Gradio's own are known, those of others are left alone", () => {
  assert.equal(readToast("Queue is full. Max size is 64 and size is 64."), "queue.full");
  assert.equal(readToast("Connection to the server was lost. Attempting reconnection..."), "connection.lost");
  assert.equal(readToast("Connection errored out."), "connection.lost");
  assert.equal(readToast('File(s) exceed the maximum allowed size of 28.6 Mb: "holiday.tif"'), "file.large");
  assert.equal(readToast("Invalid file type only image/* allowed."), "file.type");
  assert.equal(readToast("The size must be a number"), null);
});

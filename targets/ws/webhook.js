// Receives events by POST.

import { acknowledge } from "./event.js";

const LARGEST = 32 * 1024 * 1024;

/** The body of a request; undefined where it is too large. */
async function body(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length;
    if (length > LARGEST) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

function answer(text) {
  if (text === undefined) return [413, { error: `an event has at most ${LARGEST} bytes` }];
  try {
    return [200, acknowledge(JSON.parse(text))];
  } catch (error) {
    return [400, { error: error.message }];
  }
}

export async function webhook(request, response) {
  if (request.method !== "POST" || request.url !== "/webhook") {
    response.writeHead(404).end();
    return;
  }
  let text;
  try {
    text = await body(request);
  } catch {
    return; // the sender has gone
  }
  const [status, value] = answer(text);
  const content = JSON.stringify(value);
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(content),
  };
  if (status === 413) headers.connection = "close";
  response.writeHead(status, headers).end(content);
}

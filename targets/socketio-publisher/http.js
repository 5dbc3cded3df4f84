// Requests and answers.

import { createHash, timingSafeEqual } from "node:crypto";

/** A request that is turned away, and why. */
export class Refused extends Error {
  constructor(status, message, headers = {}) {
    super(message);
    Object.assign(this, { status, headers });
  }
}

const digest = (text) => createHash("sha256").update(text).digest();

/** Whether a request carries the token; it takes as long for a wrong one as for the right one. */
export function admits(request, token) {
  return timingSafeEqual(digest(request.headers.authorization ?? ""), digest(`Bearer ${token}`));
}

/** What a request asks for. */
export function target(request) {
  const url = `http://localhost${request.url}`;
  if (!URL.canParse(url)) throw new Refused(400, "not a path");
  return new URL(url);
}

/** The body of a request, refused as soon as it is too large. */
export async function body(request, most) {
  const tooLarge = new Refused(413, `at most ${most} bytes`, { connection: "close" });
  if (Number(request.headers["content-length"] ?? 0) > most) throw tooLarge;
  const chunks = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length;
    if (length > most) throw tooLarge;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** The JSON object in these bytes. */
export function parsed(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Refused(400, `not JSON: ${error.message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refused(400, "not a JSON object");
  }
  return value;
}

export function answer(response, status, value) {
  const text = JSON.stringify(value);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  response.writeHead(status, headers).end(text);
}

export function refuse(request, response, error) {
  if (!(error instanceof Refused)) {
    // The sender has gone: there is nobody to tell.
    if (request.destroyed && !request.complete) return;
    console.error(error);
  }
  response.writeHead(error.status ?? 500, { "content-type": "text/plain", ...error.headers });
  response.end(error instanceof Refused ? error.message : "internal error");
}

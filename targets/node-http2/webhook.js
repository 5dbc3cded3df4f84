// Takes events by POST over HTTP/2: `node webhook.js PORT [CERTIFICATE KEY]`.

import { readFileSync } from "node:fs";
import * as http2 from "node:http2";
import { acknowledge } from "./event.js";

function answer(event) {
  try {
    return [200, acknowledge(JSON.parse(event))];
  } catch (error) {
    return [400, { error: error.message }];
  }
}

const [cert, key] = process.argv.slice(3).map((file) => readFileSync(file));
const server = cert ? http2.createSecureServer({ cert, key }) : http2.createServer();

server.on("stream", (stream, headers) => {
  stream.on("error", console.error);
  if (headers[":method"] !== "POST" || headers[":path"] !== "/webhook") {
    return stream.respond({ ":status": 404 }, { endStream: true });
  }
  const chunks = [];
  stream.on("data", (chunk) => chunks.push(chunk));
  stream.on("end", () => {
    if (stream.destroyed) return; // the client has gone
    const [status, body] = answer(Buffer.concat(chunks));
    stream.respond({ ":status": status, "content-type": "application/json" });
    stream.end(JSON.stringify(body));
  });
});

server.listen(Number(process.argv[2]), "127.0.0.1");

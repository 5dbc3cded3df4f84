// app.js over TLS: `node tls.js PORT CERTIFICATE KEY`.

import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { webhook } from "./webhook.js";
import { websocket } from "./websocket.js";

const [port, cert, key] = process.argv.slice(2);
const certificate = { cert: readFileSync(cert), key: readFileSync(key) };
const server = createServer({ keepAliveTimeout: 75_000, ...certificate }, webhook);
websocket(server);
server.listen(Number(port), "127.0.0.1");

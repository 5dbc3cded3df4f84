// Both ways in one process: `node app.js PORT`.

import Fastify from "fastify";
import webhook from "./webhook.js";
import websocket from "./websocket.js";

const app = Fastify({ bodyLimit: 32 * 1024 * 1024, keepAliveTimeout: 75_000 });
app.register(webhook);
app.register(websocket);
await app.listen({ host: "127.0.0.1", port: Number(process.argv[2]) });

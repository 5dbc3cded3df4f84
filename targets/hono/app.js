// Both transports in one process: `node app.js PORT`.

import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { WebSocketServer } from "ws";
import { webhook } from "./webhook.js";
import { websocket } from "./websocket.js";

const app = new Hono();
app.post("/webhook", webhook);
app.get("/events", websocket);

serve({
  fetch: app.fetch,
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  serverOptions: { keepAliveTimeout: 75_000 },
  websocket: { server: new WebSocketServer({ noServer: true }) },
});

// Takes events by POST: `node webhook.js PORT [CERTIFICATE KEY]`.

import express from "express";
import { acknowledge } from "./event.js";

const app = express();

app.post("/webhook", express.json({ limit: "32mb" }), (request, response) => {
  response.json(acknowledge(request.body));
});

app.use((error, request, response, next) => {
  response.status(400).json({ error: error.message });
});

const { createServer } = await import(process.argv[3] ? "./tls.js" : "node:http");
const server = createServer({ keepAliveTimeout: 75_000 }, app);
server.listen(Number(process.argv[2]), "127.0.0.1");

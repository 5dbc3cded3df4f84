// Takes events by POST: `node webhook.js PORT`.

import express from "express";
import { acknowledge } from "./event.js";

const app = express();

app.post("/webhook", express.json({ limit: "32mb" }), (request, response) => {
  response.json(acknowledge(request.body));
});

app.use((error, request, response, next) => {
  response.status(400).json({ error: error.message });
});

const server = app.listen(Number(process.argv[2]), "127.0.0.1");
server.keepAliveTimeout = 75_000;

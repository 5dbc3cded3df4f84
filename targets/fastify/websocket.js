// Takes events as messages.

import websockets from "@fastify/websocket";
import { acknowledge } from "./event.js";

function answer(message) {
  try {
    return acknowledge(JSON.parse(message));
  } catch (error) {
    return { error: error.message };
  }
}

export default async function websocket(app) {
  await app.register(websockets);
  app.get("/events", { websocket: true }, (socket) => {
    socket.on("error", console.error);
    socket.on("message", (message) => socket.send(JSON.stringify(answer(message))));
  });
}

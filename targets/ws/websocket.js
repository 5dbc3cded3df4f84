// Receives events as messages.

import { WebSocketServer } from "ws";
import { acknowledge } from "./event.js";

function answer(message) {
  try {
    return acknowledge(JSON.parse(message));
  } catch (error) {
    return { error: error.message };
  }
}

export function websocket(server) {
  const sockets = new WebSocketServer({ server, path: "/events", perMessageDeflate: true });
  sockets.on("connection", (socket) => {
    socket.on("error", console.error);
    socket.on("message", (message) => socket.send(JSON.stringify(answer(message))));
  });
}

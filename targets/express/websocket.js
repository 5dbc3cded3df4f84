// Takes events as messages: `node websocket.js PORT`.

import { WebSocketServer } from "ws";
import { acknowledge } from "./event.js";

function answer(message) {
  try {
    return acknowledge(JSON.parse(message));
  } catch (error) {
    return { error: error.message };
  }
}

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]) });

server.on("connection", (socket) => {
  socket.on("error", console.error);
  socket.on("message", (message) => socket.send(JSON.stringify(answer(message))));
});

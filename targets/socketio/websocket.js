// Receives events as Socket.IO packets, and answers with their acknowledgement.

import { Server } from "socket.io";
import { acknowledge } from "./event.js";

function answer(event) {
  try {
    return acknowledge(event);
  } catch (error) {
    return { error: error.message };
  }
}

export function websocket(server) {
  const io = new Server(server, {
    transports: ["websocket"],
    serveClient: false,
    maxHttpBufferSize: 32 * 1024 * 1024,
  });
  io.on("connection", (socket) => {
    socket.on("event", (event, reply) => reply?.(answer(event)));
  });
}

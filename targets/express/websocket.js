// Takes events as messages: `node websocket.js PORT [CERTIFICATE KEY]`.

import { WebSocketServer } from "ws";
import { acknowledge } from "./event.js";

function answer(message) {
  try {
    return acknowledge(JSON.parse(message));
  } catch (error) {
    return { error: error.message };
  }
}

const { createServer } = await import(process.argv[3] ? "./tls.js" : "node:http");
const server = createServer({}, (request, response) => response.writeHead(426).end());
const sockets = new WebSocketServer({ server, perMessageDeflate: true });

sockets.on("connection", (socket) => {
  socket.on("error", console.error);
  socket.on("message", (message) => socket.send(JSON.stringify(answer(message))));
});

server.listen(Number(process.argv[2]), "127.0.0.1");

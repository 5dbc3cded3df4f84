// Receives events as messages.

import { upgradeWebSocket } from "@hono/node-server";
import { acknowledge } from "./event.js";

function answer(message) {
  try {
    return acknowledge(JSON.parse(message));
  } catch (error) {
    return { error: error.message };
  }
}

export const websocket = upgradeWebSocket(() => ({
  onMessage: ({ data }, socket) => socket.send(JSON.stringify(answer(data))),
}));

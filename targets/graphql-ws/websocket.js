// Receives events as mutations over graphql-transport-ws.

import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";
import { mutation, schema } from "./event.js";

export function websocket(server) {
  useServer({ schema, roots: { mutation } }, new WebSocketServer({ server, path: "/graphql" }));
}

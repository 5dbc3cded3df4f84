// Receives events as SEND frames, and answers with their RECEIPT.

import StompServer from "stomp-broker-js";
import stomp from "stomp-broker-js/lib/stomp.js";
import { acknowledge } from "./event.js";

const { ERROR, RECEIPT } = stomp.ServerFrame;

export function websocket(server) {
  const broker = new StompServer({ server, path: "/stomp" });
  broker.on("error", console.error);
  // The broker itself sends a RECEIPT for DISCONNECT only.
  broker.addMiddleware("send", (socket, { frame }, next) => {
    try {
      acknowledge(JSON.parse(frame.body));
    } catch (error) {
      ERROR(socket, "not an event", error.message);
      return false;
    }
    RECEIPT(socket, frame.headers.receipt);
    return next();
  });
}

// A subscriber connects and gets a message per event.

import { STATUS_CODES } from "node:http";
import { WebSocketServer } from "ws";
import { Refused, admits, target } from "./http.js";

// An acknowledgement is an id.
const LARGEST_MESSAGE = 64 * 1024;
// Pause between two looks for deliveries that were not acknowledged in time.
const SWEEP = 100;
// Bytes a socket may hold unsent; what is more waits in the queue, where it is bounded.
const UNSENT = 64 * 1024;

export function setup({ hub, routes, server, token }) {
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: LARGEST_MESSAGE,
  });
  const wanted = (request) => {
    if (!admits(request, token)) {
      throw new Refused(401, "Authorization: Bearer and the run's token");
    }
    const { pathname, searchParams } = target(request);
    if (pathname !== "/subscribe") throw new Refused(404, "subscribers connect to /subscribe");
    const types = (searchParams.get("types") ?? "").split(",").filter((type) => type !== "");
    hub.check(types);
    return types;
  };
  server.on("upgrade", (request, socket, head) => {
    try {
      const types = wanted(request);
      const deliver = (subscriber) => deliverTo(hub.enter(types), subscriber);
      sockets.handleUpgrade(request, socket, head, deliver);
    } catch ({ status = 500, message }) {
      const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close`;
      socket.end(`${head}\r\n\r\n${message}`);
    }
  });
  routes["GET /subscribe"] = async () => {
    throw new Refused(426, "subscribers connect by WebSocket", { upgrade: "websocket" });
  };
  setInterval(() => hub.subscriptions.forEach((subscription) => subscription.giveUp()), SWEEP);
}

function deliverTo(subscription, socket) {
  subscription.deliver = () => {
    while (socket.bufferedAmount < UNSENT) {
      const event = subscription.next();
      if (!event) return;
      socket.send(event.body, { binary: false }, subscription.deliver);
      if (!subscription.hub.acknowledged) subscription.settle(event.id, "written");
    }
  };
  socket.on("message", (message) => subscription.settle(acknowledged(message), "acknowledged"));
  socket.on("error", () => {}); // "close" follows, and with it the end of the subscription
  socket.on("close", () => subscription.end());
}

/** The id in an acknowledgement; undefined where it is none. */
function acknowledged(message) {
  try {
    return JSON.parse(message)?.id;
  } catch {
    return undefined;
  }
}

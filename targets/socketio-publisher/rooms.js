// Subscribers connect by Socket.IO and join a room per type.

import { Server } from "socket.io";
import { Deliveries } from "./deliveries.js";
import { Refused, admits, target } from "./http.js";

// An acknowledgement is an id.
const LARGEST_MESSAGE = 64 * 1024;
// Pause between two looks for deliveries that were not acknowledged in time.
const SWEEP = 100;
// The room of subscribers that want every type.
const EVERY = "every type";

const room = (type) => `type ${type}`;

export class Rooms {
  #deliveries = new Deliveries();

  constructor(server, { token, types, acknowledged }) {
    Object.assign(this, { types, acknowledged });
    this.io = new Server(server, {
      transports: ["websocket"],
      serveClient: false,
      maxHttpBufferSize: LARGEST_MESSAGE,
      allowRequest: (request, reply) => this.#admit(request, token, reply),
    });
    this.io.on("connection", (socket) => this.#serve(socket));
    setInterval(() => this.#deliveries.giveUp(), SWEEP);
  }

  /** Delivers an event to everybody who wants it, and tells to how many. */
  publish(event) {
    this.#check([event.type]);
    const rooms = [EVERY, room(event.type)];
    const joined = this.io.of("/").adapter.rooms;
    const subscribers = rooms.flatMap((name) => [...(joined.get(name) ?? [])]);
    this.#deliveries.publish(event.id, subscribers, this.acknowledged);
    this.io.to(rooms).emit("event", event);
    return subscribers.length;
  }

  status() {
    return this.#deliveries.status();
  }

  #serve(socket) {
    socket.once("subscribe", (reply) => {
      const types = wanted(socket.request);
      socket.join(types.length === 0 ? EVERY : types.map(room));
      this.#deliveries.subscribe(socket.id);
      reply?.();
    });
    socket.on("ack", (ack) => this.#deliveries.settle(socket.id, ack?.id, "acknowledged"));
    socket.on("disconnect", () => this.#deliveries.leave(socket.id));
  }

  #admit(request, token, reply) {
    try {
      if (!admits(request, token)) throw new Refused(401, "Authorization: Bearer and the token");
      this.#check(wanted(request));
      reply(null, true);
    } catch (error) {
      reply(error.message, false);
    }
  }

  /** Refuses types that are not published. */
  #check(types) {
    const unknown = types.find((type) => !this.types.includes(type));
    if (unknown !== undefined) {
      const known = this.types.join(", ");
      throw new Refused(422, `no type is called ${JSON.stringify(unknown)}: there are ${known}`);
    }
  }
}

/** The types in the query of a subscriber's handshake. */
function wanted(request) {
  const types = target(request).searchParams.get("types") ?? "";
  return types.split(",").filter((type) => type !== "");
}

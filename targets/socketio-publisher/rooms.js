// Subscribers connect by Socket.IO, and join the room of a type.

import { Server } from "socket.io";
import { Deliveries } from "./deliveries.js";
import { Refused, admits } from "./http.js";

// An acknowledgement is an id.
const LARGEST_MESSAGE = 64 * 1024;
// Pause between two looks for deliveries that were not acknowledged in time.
const SWEEP = 100;

export class Rooms {
  #deliveries = new Deliveries();

  constructor(server, { token, types, acknowledged }) {
    Object.assign(this, { types, acknowledged });
    this.io = new Server(server, {
      transports: ["websocket"],
      serveClient: false,
      maxHttpBufferSize: LARGEST_MESSAGE,
      allowRequest: (request, reply) => {
        reply("Authorization: Bearer and the run's token", admits(request, token));
      },
    });
    this.io.on("connection", (socket) => this.#serve(socket));
    setInterval(() => this.#deliveries.giveUp(), SWEEP);
  }

  /** Delivers an event to everybody in the room of its type, and tells to how many. */
  publish(event) {
    if (!this.types.includes(event.type)) throw new Refused(422, this.#unknown(event.type));
    const subscribers = [...(this.io.of("/").adapter.rooms.get(event.type) ?? [])];
    this.#deliveries.publish(event.id, subscribers, this.acknowledged);
    this.io.to(event.type).emit("event", event);
    return subscribers.length;
  }

  status() {
    return this.#deliveries.status();
  }

  #serve(socket) {
    socket.on("subscribe", (type, reply) => {
      if (!this.types.includes(type)) {
        reply?.({ error: this.#unknown(type) });
        return;
      }
      socket.join(type);
      this.#deliveries.subscribe(socket.id);
      reply?.({ type });
    });
    socket.on("ack", (ack) => this.#deliveries.settle(socket.id, ack?.id, "acknowledged"));
    socket.on("disconnect", () => this.#deliveries.leave(socket.id));
  }

  #unknown(type) {
    return `no type is called ${JSON.stringify(type)}: there are ${this.types.join(", ")}`;
  }
}

// Events come in by POST and go to everybody in a Socket.IO room: `node app.js PORT`.

import { createServer } from "node:http";
import { LARGEST_EVENT, event } from "./event.js";
import { Refused, admits, answer, body, refuse, target } from "./http.js";
import { Rooms } from "./rooms.js";

const { PUSHBENCH_TOKEN: token, PUSHBENCH_TYPES, PUSHBENCH_ACKNOWLEDGED } = process.env;
if (!token) {
  console.error("PUSHBENCH_TOKEN is not set: without a token anybody could publish");
  process.exit(1);
}

const routes = {
  "POST /publish": async (request) => {
    const published = event(await body(request, LARGEST_EVENT));
    return [202, { id: published.id, queued: rooms.publish(published) }];
  },
  "GET /status": async () => [200, rooms.status()],
};

const server = createServer({ keepAliveTimeout: 75_000 }, async (request, response) => {
  try {
    if (!admits(request, token)) {
      throw new Refused(401, "Authorization: Bearer and the run's token");
    }
    const { pathname } = target(request);
    const route = routes[`${request.method} ${pathname}`];
    if (!route) {
      const known = Object.keys(routes).some((name) => name.endsWith(` ${pathname}`));
      throw new Refused(known ? 405 : 404, `there are ${Object.keys(routes).join(", ")}`);
    }
    answer(response, ...(await route(request)));
  } catch (error) {
    refuse(request, response, error);
  }
});

const rooms = new Rooms(server, {
  token,
  types: (PUSHBENCH_TYPES ?? "event").split(","),
  acknowledged: (PUSHBENCH_ACKNOWLEDGED ?? "true") === "true",
});
server.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });

// Events come in by POST and go to every subscriber: `node app.js webhook|websocket PORT`.

import { createServer } from "node:http";
import { LARGEST_EVENT, event } from "./event.js";
import { Refused, admits, answer, body, refuse, target } from "./http.js";
import { Hub } from "./hub.js";

const [transport, port] = process.argv.slice(2);
const { PUSHBENCH_TOKEN: token, PUSHBENCH_TYPES, PUSHBENCH_ACKNOWLEDGED } = process.env;
if (!token) {
  console.error("PUSHBENCH_TOKEN is not set: without a token anybody could publish");
  process.exit(1);
}
const hub = new Hub({
  types: (PUSHBENCH_TYPES ?? "event").split(","),
  acknowledged: (PUSHBENCH_ACKNOWLEDGED ?? "true") === "true",
});

async function publish(request) {
  const published = event(await body(request, LARGEST_EVENT));
  hub.check([published.type]);
  return [202, { id: published.id, queued: hub.publish(published) }];
}

const routes = {
  "POST /publish": publish,
  "GET /status": async () => [200, hub.status()],
};

const server = createServer(async (request, response) => {
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

// A module that delivers adds its own routes, or takes the server's upgrades.
const { setup } = await import(transport === "webhook" ? "./webhook.js" : "./websocket.js");
setup({ hub, routes, server, token });
server.keepAliveTimeout = 75_000;
server.listen({ host: "127.0.0.1", port: Number(port), backlog: 4096 });

// Takes events by POST.

import { acknowledge } from "./event.js";

export default async function webhook(app) {
  app.setErrorHandler((error, request, reply) => reply.code(400).send({ error: error.message }));
  app.post("/webhook", async (request) => acknowledge(request.body));
}

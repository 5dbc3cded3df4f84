// Receives events as mutations by POST.

import { createHandler } from "graphql-http/lib/use/http";
import { mutation, schema } from "./event.js";

const BAD_REQUEST = {
  status: 400,
  statusText: "Bad Request",
  headers: { "content-type": "application/graphql-response+json; charset=utf-8" },
};

export const webhook = createHandler({
  schema,
  rootValue: mutation,
  // graphql-http's own answer would be 200.
  onOperation: (request, args, result) =>
    result.errors && [JSON.stringify(result), BAD_REQUEST],
});

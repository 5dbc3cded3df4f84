// What an event is, as the schema of a mutation.

import { buildSchema } from "graphql";

export const schema = buildSchema(`
  scalar JSON
  input EventInput { id: String!, type: String!, data: JSON }
  type Acknowledgement { id: String! }
  type Mutation { ingest(event: EventInput!): Acknowledgement! }
  type Query { ready: Boolean! }
`);

/** The mutation, for both transports. */
export const mutation = {
  // The schema cannot say that a string is not empty, nor that data may be null but not absent.
  ingest({ event }) {
    if (event.id === "" || event.type === "" || event.data === undefined) {
      throw new Error("not an event: id and type must not be empty, data must be present");
    }
    return { id: event.id };
  },
};

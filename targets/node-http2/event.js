// What an event is, whichever way it came.

const isText = (value) => typeof value === "string" && value !== "";

/** The acknowledgement of an event; throws where it is none. */
export function acknowledge(event) {
  if (!isText(event?.id) || !isText(event.type) || event.data === undefined) {
    throw new Error("not an event: id and type must be texts and not empty, data must be there");
  }
  return { id: event.id };
}

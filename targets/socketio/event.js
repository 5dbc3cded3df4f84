// What an event is.

const isText = (value) => typeof value === "string" && value !== "";

/** The acknowledgement of an event; throws where it is none. */
export function acknowledge(event) {
  if (!isText(event?.id) || !isText(event.type) || event.data === undefined) {
    throw new Error("not an event: id and type must be non-empty strings, data must be present");
  }
  return { id: event.id };
}

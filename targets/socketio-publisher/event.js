// What an event is.

import { Refused, parsed } from "./http.js";

export const LARGEST_EVENT = 16 * 1024 * 1024;

const isText = (value) => typeof value === "string" && value !== "";

/** The event in these bytes, which goes to subscribers as this value. */
export function event(body) {
  const value = parsed(body);
  if (!isText(value.id) || !isText(value.type) || value.data === undefined) {
    const what = "id and type must be non-empty strings, data must be present";
    throw new Refused(400, `not an event: ${what}`);
  }
  return value;
}

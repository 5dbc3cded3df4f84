// What an event is.

import { Refused, parsed } from "./http.js";

export const LARGEST_EVENT = 16 * 1024 * 1024;

const isText = (value) => typeof value === "string" && value !== "";

/** The event in these bytes, which go to subscribers as they came. */
export function event(body) {
  const { id, type, data } = parsed(body);
  if (!isText(id) || !isText(type) || data === undefined) {
    const what = "id and type must be texts and not empty, data must be there";
    throw new Refused(400, `not an event: ${what}`);
  }
  return { id, type, body, unsettled: 0, failed: false };
}

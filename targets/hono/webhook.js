// Receives events by POST.

import { acknowledge } from "./event.js";

export async function webhook(context) {
  try {
    return context.json(acknowledge(await context.req.json()));
  } catch (error) {
    return context.json({ error: error.message }, 400);
  }
}

// Who is subscribed, and what became of every delivery.

import { Refused } from "./http.js";

// Events that a subscriber may have waiting or unacknowledged. Further ones are turned away for this
// subscriber and counted: a slow one costs its own events, never another's, and never the memory.
const QUEUE = 1024;
/** Milliseconds from the write of a delivery to its acknowledgement. */
export const TIMEOUT = 5_000;

export class Hub {
  subscriptions = new Set();
  counts = {
    published: 0,
    complete: 0,
    queued: 0,
    overflowed: 0,
    stray: 0,
    acknowledged: 0,
    written: 0,
    failed: 0,
    redirected: 0,
    refused: 0,
    timed_out: 0,
    lost: 0,
  };

  constructor({ types, acknowledged }) {
    Object.assign(this, { types, acknowledged });
  }

  /** Refuses types that are not published. */
  check(types) {
    const unknown = types.find((type) => !this.types.includes(type));
    if (unknown !== undefined) {
      const known = this.types.join(", ");
      throw new Refused(422, `no type is called ${JSON.stringify(unknown)}: there are ${known}`);
    }
  }

  enter(types) {
    const subscription = new Subscription(this, types);
    this.subscriptions.add(subscription);
    return subscription;
  }

  /** Queues an event for everybody who wants it, and tells for how many. */
  publish(event) {
    const wanting = [...this.subscriptions].filter((subscription) => subscription.wants(event));
    const room = wanting.filter((subscription) => subscription.hasRoom());
    event.unsettled = room.length;
    event.failed = room.length < wanting.length;
    this.counts.published += 1;
    this.counts.queued += room.length;
    this.counts.overflowed += wanting.length - room.length;
    this.#complete(event);
    room.forEach((subscription) => subscription.put(event));
    return room.length;
  }

  settle(event, fate) {
    this.counts[fate] += 1;
    event.unsettled -= 1;
    event.failed ||= fate !== "acknowledged" && fate !== "written";
    this.#complete(event);
  }

  #complete(event) {
    if (event.unsettled === 0 && !event.failed) this.counts.complete += 1;
  }

  status() {
    const all = [...this.subscriptions];
    const each = all.map(({ acknowledged }) => acknowledged);
    const { failed, redirected, refused } = this.counts;
    return {
      ...this.counts,
      failed: failed + redirected + refused,
      subscribers: all.length,
      open: all.reduce((sum, subscription) => sum + subscription.open, 0),
      least_acknowledged: each.length && Math.min(...each),
      most_acknowledged: each.length && Math.max(...each),
    };
  }
}

/** One subscriber's queue: what it has yet to get, and what it has yet to acknowledge. */
class Subscription {
  acknowledged = 0;
  waiting = [];
  written = []; // with the instant of the write, oldest first
  /** Called when there is something to deliver. */
  deliver = () => {};

  constructor(hub, types) {
    Object.assign(this, { hub, types });
  }

  wants({ type }) {
    return this.types.length === 0 || this.types.includes(type);
  }

  get open() {
    return this.waiting.length + this.written.length;
  }

  hasRoom() {
    return this.open < QUEUE;
  }

  put(event) {
    this.waiting.push(event);
    this.deliver();
  }

  /** The next event, which is written at once; undefined when there is none. */
  next() {
    const event = this.waiting.shift();
    if (event) this.written.push({ event, at: performance.now() });
    return event;
  }

  /** The written event of that id has its fate; one that was not open is counted as stray. */
  settle(id, fate) {
    const at = this.written.findIndex(({ event }) => event.id === id);
    if (at < 0) {
      this.hub.counts.stray += 1;
      return;
    }
    const [{ event }] = this.written.splice(at, 1);
    this.acknowledged += fate === "acknowledged" ? 1 : 0;
    this.hub.settle(event, fate);
  }

  /** What was written and not acknowledged in time is given up. */
  giveUp() {
    const before = performance.now() - TIMEOUT;
    while (this.written[0]?.at < before) this.hub.settle(this.written.shift().event, "timed_out");
  }

  /** It ends, and what it has not acknowledged is lost. */
  end() {
    if (!this.hub.subscriptions.delete(this)) return;
    const left = [...this.written.map(({ event }) => event), ...this.waiting];
    this.written = [];
    this.waiting = [];
    left.forEach((event) => this.hub.settle(event, "lost"));
  }
}

// The outcome of every delivery.

// Milliseconds from the delivery to its acknowledgement.
const TIMEOUT = 5_000;

export class Deliveries {
  counts = {
    published: 0,
    complete: 0,
    queued: 0,
    acknowledged: 0,
    written: 0,
    timed_out: 0,
    lost: 0,
    stray: 0,
  };
  #subscribers = new Map(); // by subscriber: its open deliveries by event id, oldest first

  subscribe(subscriber) {
    if (this.#subscribers.has(subscriber)) return;
    this.#subscribers.set(subscriber, { open: new Map(), acknowledged: 0 });
  }

  /** An event goes to these subscribers. */
  publish(id, subscribers, acknowledged) {
    const event = { unsettled: subscribers.length, failed: false };
    const at = performance.now();
    this.counts.published += 1;
    this.counts.queued += subscribers.length;
    if (subscribers.length === 0) this.counts.complete += 1;
    for (const subscriber of subscribers) {
      this.#subscribers.get(subscriber).open.set(id, { event, at });
      if (!acknowledged) this.settle(subscriber, id, "written");
    }
  }

  /** A delivery has its outcome; one that is not open is counted as stray. */
  settle(subscriber, id, outcome) {
    const subscription = this.#subscribers.get(subscriber);
    const delivery = subscription?.open.get(id);
    if (!delivery) {
      this.counts.stray += 1;
      return;
    }
    subscription.open.delete(id);
    this.counts[outcome] += 1;
    if (outcome === "acknowledged") subscription.acknowledged += 1;
    else if (outcome !== "written") delivery.event.failed = true;
    delivery.event.unsettled -= 1;
    if (delivery.event.unsettled === 0 && !delivery.event.failed) this.counts.complete += 1;
  }

  /** What was not acknowledged in time is given up. */
  giveUp() {
    const before = performance.now() - TIMEOUT;
    for (const [subscriber, { open }] of this.#subscribers) {
      for (const [id, { at }] of open) {
        if (at >= before) break;
        this.settle(subscriber, id, "timed_out");
      }
    }
  }

  /** A subscriber has left, and what it has not acknowledged is lost. */
  leave(subscriber) {
    for (const id of this.#subscribers.get(subscriber)?.open.keys() ?? []) {
      this.settle(subscriber, id, "lost");
    }
    this.#subscribers.delete(subscriber);
  }

  status() {
    const all = [...this.#subscribers.values()];
    const each = all.map(({ acknowledged }) => acknowledged);
    return {
      ...this.counts,
      subscribers: all.length,
      open: all.reduce((sum, { open }) => sum + open.size, 0),
      least_acknowledged: each.length && Math.min(...each),
      most_acknowledged: each.length && Math.max(...each),
    };
  }
}

# Who is subscribed, and what became of every delivery.

import asyncio
from collections import Counter, deque
from time import monotonic

from aiohttp import web

# Events that a subscriber may have waiting or unacknowledged. Further ones are turned away for this
# subscriber and counted: a slow one costs its own events, never another's, and never the memory.
QUEUE = 1024
# Seconds from the write of a delivery to its acknowledgement.
TIMEOUT = 5
# Pause between two looks for deliveries that were not acknowledged in time.
SWEEP = 0.1

FATES = ("acknowledged", "written", "failed", "redirected", "refused", "timed_out", "lost")


class Hub:
    def __init__(self, types, acknowledged):
        self.types = types
        self.acknowledged = acknowledged
        self.subscriptions = set()
        self.counts = Counter()

    # Refuses types that are not published.
    def check(self, types):
        for name in types:
            if name not in self.types:
                known = ", ".join(self.types)
                raise web.HTTPUnprocessableEntity(text=f"no type is called {name!r}: there are {known}")

    def enter(self, types):
        subscription = Subscription(self, frozenset(types))
        self.subscriptions.add(subscription)
        return subscription

    # Queues an event for everybody who wants it, and tells for how many.
    def publish(self, event):
        queued = 0
        for subscription in self.subscriptions:
            if not subscription.wants(event.type):
                continue
            if subscription.put(event):
                queued += 1
            else:
                event.failed = True
                self.counts["overflowed"] += 1
        self.counts["published"] += 1
        self.counts["queued"] += queued
        event.unsettled = queued
        self._complete(event)
        return queued

    def settle(self, event, fate):
        self.counts[fate] += 1
        event.unsettled -= 1
        event.failed |= fate not in ("acknowledged", "written")
        self._complete(event)

    def _complete(self, event):
        if event.unsettled == 0 and not event.failed:
            self.counts["complete"] += 1

    # Gives up what was written and not acknowledged in time, for as long as it runs.
    async def sweep(self):
        while True:
            await asyncio.sleep(SWEEP)
            for subscription in tuple(self.subscriptions):
                subscription.give_up(monotonic() - TIMEOUT)

    def status(self):
        counts = self.counts
        each = [subscription.acknowledged for subscription in self.subscriptions]
        told = {name: counts[name] for name in ("published", "complete", "queued", "overflowed", "stray")}
        told.update({fate: counts[fate] for fate in FATES})
        told["failed"] += counts["redirected"] + counts["refused"]
        told["open"] = sum(subscription.open() for subscription in self.subscriptions)
        told["subscribers"] = len(self.subscriptions)
        told["least_acknowledged"] = min(each, default=0)
        told["most_acknowledged"] = max(each, default=0)
        return told


HUB = web.AppKey("hub", Hub)


# One subscriber's queue: what it has yet to get, and what it has yet to acknowledge.
class Subscription:
    def __init__(self, hub, types):
        self.hub = hub
        self.types = types
        self.acknowledged = 0
        self.waiting = deque()
        self.written = deque()  # with the instant of the write, oldest first
        self.more = asyncio.Event()

    def wants(self, type):
        return not self.types or type in self.types

    def open(self):
        return len(self.waiting) + len(self.written)

    # False when there is no room.
    def put(self, event):
        if self.open() >= QUEUE:
            return False
        self.waiting.append(event)
        self.more.set()
        return True

    # The next event, which is written at once.
    async def next(self):
        while not self.waiting:
            self.more.clear()
            await self.more.wait()
        event = self.waiting.popleft()
        self.written.append((event, monotonic()))
        return event

    # The written event of that id has its fate; one that was not open is counted as stray.
    def settle(self, id, fate):
        for at, (event, _) in enumerate(self.written):
            if event.id == id:
                del self.written[at]
                self.acknowledged += fate == "acknowledged"
                self.hub.settle(event, fate)
                return
        self.hub.counts["stray"] += 1

    def give_up(self, before):
        while self.written and self.written[0][1] < before:
            self.hub.settle(self.written.popleft()[0], "timed_out")

    # It ends, and what it has not acknowledged is lost.
    def end(self):
        self.hub.subscriptions.discard(self)
        for event in [event for event, _ in self.written] + list(self.waiting):
            self.hub.settle(event, "lost")
        self.written.clear()
        self.waiting.clear()

# A subscriber registers an address, and each event is POSTed there: no retry, no redirect.

import asyncio
from contextlib import suppress
from ipaddress import ip_address

import aiohttp
from aiohttp import web
from yarl import URL

from event import body, parsed
from hub import HUB, TIMEOUT

LARGEST_SUBSCRIPTION = 16 * 1024
# Deliveries under way at the same time.
CONCURRENCY = 256
TIMEOUTS = aiohttp.ClientTimeout(total=TIMEOUT, sock_connect=2)
HEADERS = {"Content-Type": "application/json", "User-Agent": "aiohttp-publisher"}


# Each subscriber has a task with one POST under way, hence at most one kept connection.
class Deliveries:
    def __init__(self, session):
        self.session = session
        self.under_way = asyncio.Semaphore(CONCURRENCY)
        self.tasks = set()

    def begin(self, subscription, url):
        self.tasks.add(asyncio.create_task(self.deliver(subscription, url)))

    async def deliver(self, subscription, url):
        while True:
            event = await subscription.next()
            async with self.under_way:
                subscription.settle(event.id, await self.post(url, event.body))

    async def post(self, url, event):
        try:
            request = self.session.post(url, data=event, headers=HEADERS, allow_redirects=False)
            async with request as response:
                # A connection is used again only when the answer was read to its end.
                async for _ in response.content.iter_any():
                    pass
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return "refused"
        except TimeoutError:
            return "timed_out"
        except aiohttp.ClientError:
            return "lost"
        if 200 <= response.status < 300:
            return "acknowledged"
        return "redirected" if 300 <= response.status < 400 else "failed"

    async def end(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


DELIVERIES = web.AppKey("deliveries", Deliveries)


def setup(app):
    app.cleanup_ctx.append(deliveries)
    app.router.add_post("/subscribe", subscribe)


async def deliveries(app):
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=75)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=TIMEOUTS) as session:
        app[DELIVERIES] = Deliveries(session)
        yield
        await app[DELIVERIES].end()


async def subscribe(request):
    wanted = parsed(await body(request, LARGEST_SUBSCRIPTION))
    types = wanted.get("types", [])
    if not isinstance(types, list) or not all(isinstance(name, str) for name in types):
        raise web.HTTPBadRequest(text="types: a list of names")
    hub = request.app[HUB]
    hub.check(types)
    url = destination(wanted.get("url"))
    request.app[DELIVERIES].begin(hub.enter(types), url)
    return web.json_response({"url": str(url)}, status=201)


# A publisher that POSTs anywhere is an open relay, and a name could point anywhere, too.
def destination(text):
    try:
        url = URL(text)
    except (TypeError, ValueError):
        raise web.HTTPBadRequest(text="url: not a URL") from None
    if url.scheme != "http" or not url.host:
        raise web.HTTPBadRequest(text="url: write http://ADDRESS:PORT/PATH")
    if url.host == "localhost":
        return url.with_host("127.0.0.1")
    with suppress(ValueError):
        if ip_address(url.host).is_loopback:
            return url
    raise web.HTTPForbidden(text="url: only addresses of this machine, such as 127.0.0.2")

// A subscriber registers an address, and each event is POSTed there: no retry, no redirect.

import { Agent, request as send } from "node:http";
import { BlockList, isIP } from "node:net";
import { Refused, body, parsed } from "./http.js";
import { TIMEOUT } from "./hub.js";

const LARGEST_SUBSCRIPTION = 16 * 1024;
// Deliveries under way at the same time.
const CONCURRENCY = 256;
const CONNECT_TIMEOUT = 2_000;

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

// Each subscriber has one POST under way, hence at most one kept connection.
const agent = new Agent({ keepAlive: true, keepAliveMsecs: 75_000, maxFreeSockets: Infinity });
let underWay = 0;
const inLine = []; // subscribers whose turn it is as soon as fewer deliveries are under way

export function setup({ hub, routes }) {
  routes["POST /subscribe"] = async (request) => {
    const { url, types = [] } = parsed(await body(request, LARGEST_SUBSCRIPTION));
    if (!Array.isArray(types)) throw new Refused(400, "types: a list of names");
    hub.check(types);
    const to = destination(url);
    deliverTo(hub.enter(types), to);
    return [201, { url: to.href }];
  };
}

// A publisher that POSTs anywhere is an open relay, and a name could point anywhere, too.
function destination(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "http:") throw new Refused(400, "url: write http://ADDRESS:PORT/PATH");
  if (url.hostname === "localhost") url.hostname = "127.0.0.1";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const family = isIP(host);
  if (family === 0 || !loopback.check(host, `ipv${family}`)) {
    throw new Refused(403, "url: only addresses of this machine, such as 127.0.0.2");
  }
  return url;
}

function deliverTo(subscription, url) {
  let busy = false;
  const start = async () => {
    underWay += 1;
    const event = subscription.next();
    subscription.settle(event.id, await post(url, event.body));
    underWay -= 1;
    busy = false;
    inLine.shift()?.();
    subscription.deliver();
  };
  subscription.deliver = () => {
    if (busy || subscription.waiting.length === 0) return;
    busy = true;
    if (underWay < CONCURRENCY) start();
    else inLine.push(start);
  };
}

/** One POST, and what became of it. */
function post(url, event) {
  const headers = { "content-type": "application/json", "content-length": event.length };
  return new Promise((settle) => {
    let connected = false;
    const posting = send(url, { method: "POST", agent, headers });
    const giveUp = (fate) => () => {
      settle(fate);
      posting.destroy();
    };
    const late = setTimeout(giveUp("timed_out"), TIMEOUT);
    const unconnected = setTimeout(giveUp("refused"), CONNECT_TIMEOUT);
    const connect = () => {
      connected = true;
      clearTimeout(unconnected);
    };
    posting.on("socket", (socket) => {
      if (socket.connecting) socket.once("connect", connect);
      else connect();
    });
    posting.on("error", () => settle(connected ? "lost" : "refused"));
    posting.on("response", (response) => {
      response.on("error", () => settle("lost"));
      // A connection is used again only when the answer was read to its end.
      response.on("end", () => settle(fate(response.statusCode))).resume();
    });
    posting.on("close", () => {
      clearTimeout(late);
      clearTimeout(unconnected);
      settle("lost"); // where nothing was settled before
    });
    posting.end(event);
  });
}

function fate(status) {
  if (status >= 200 && status < 300) return "acknowledged";
  return status >= 300 && status < 400 ? "redirected" : "failed";
}

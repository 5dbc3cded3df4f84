// Both transports in one process: `node app.js PORT`.

import { createServer } from "node:http";
import { webhook } from "./webhook.js";
import { websocket } from "./websocket.js";

const server = createServer({ keepAliveTimeout: 75_000 }, webhook);
websocket(server);
server.listen(Number(process.argv[2]), "127.0.0.1");

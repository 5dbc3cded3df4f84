// The server of node:http over TLS, with the files that the command line names.

import { readFileSync } from "node:fs";
import * as https from "node:https";

const [cert, key] = process.argv.slice(3).map((file) => readFileSync(file));

export const createServer = (options, handler) =>
  https.createServer({ ...options, cert, key }, handler);

// Takes events by webhook. `server.js PORT WORK`: it adds up WORK numbers for each event.
const http = require("http");

const [port, work] = process.argv.slice(2).map(Number);
http
  .createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      let sum = 0;
      for (let number = 0; number < work; number++) sum += number;
      const { id } = JSON.parse(body);
      response.writeHead(200, { "content-type": "application/json", "x-sum": String(sum) });
      response.end(JSON.stringify({ id }));
    });
  })
  .listen(port, "127.0.0.1");

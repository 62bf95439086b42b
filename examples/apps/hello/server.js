// A web app as DINP runs it: it listens on PORT, and on SIGTERM it lets go of its connections and ends.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import Mustache from "mustache";

const { PORT = "3000", DINP_APP, DINP_INSTANCE_ID, DINP_RELEASE, DINP_NODE } = process.env;
const instance = DINP_INSTANCE_ID ?? "none";
const template = readFileSync(new URL("./page.mustache", import.meta.url), "utf8");
let served = 0;

function page() {
  served += 1;
  return Mustache.render(template, {
    app: DINP_APP ?? "hello",
    instance,
    release: DINP_RELEASE ?? "none",
    node: DINP_NODE ?? "none",
    served,
    version: process.version,
  });
}

const server = createServer((request, response) => {
  response.setHeader("x-instance", instance);
  if (!server.listening) response.setHeader("connection", "close");
  const [pathname] = request.url.split("?");
  if (pathname === "/healthz") {
    response.setHeader("content-type", "text/plain; charset=utf-8").end("ok\n");
  } else if (pathname === "/") {
    response.setHeader("content-type", "text/html; charset=utf-8").end(page());
  } else {
    response.statusCode = 404;
    response.setHeader("content-type", "text/plain; charset=utf-8").end(`There is no ${pathname} here.\n`);
  }
});

// Longer than a router keeps an idle connection, so that it is the router that closes it.
server.keepAliveTimeout = 75_000;

process.once("SIGTERM", () => {
  console.log("SIGTERM: finishing the requests in flight");
  server.close(() => console.log("done"));
  server.closeIdleConnections();
});

server.listen(Number(PORT), () => console.log(`${instance} listens on port ${PORT}`));

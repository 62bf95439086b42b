import { createServer, type IncomingMessage, ServerResponse } from "node:http";
import { DinpError, type ForwardOutcome } from "@dinp/core";
import { loadHttpProxyForwarder, type NodeExchange } from "@dinp/core/http-proxy";
import { describe, expect, it } from "vitest";
import { loadDriver } from "../../src/adapters/http-proxy/http-proxy-forwarder.js";
import { forwarderSuite, type ForwarderSuiteOptions } from "../../src/core/testing/forwarder-suite.js";

const create: ForwarderSuiteOptions["create"] = async (plan, onOutcome) => {
  const forwarder = await loadHttpProxyForwarder();
  const forward = async (
    request: IncomingMessage,
    response: ServerResponse,
    upgrade: NodeExchange["upgrade"],
  ): Promise<void> => {
    request.on("error", () => {});
    const exchange = { request, response, target: request.url ?? "/", fields: request.rawHeaders, upgrade };
    for (const endpoint of plan.endpoints) {
      const outcome: ForwardOutcome = await forwarder.forward(exchange, endpoint, plan.options);
      onOutcome(outcome);
      if (outcome.kind !== "failed") return;
      if (outcome.retryable && endpoint !== plan.endpoints.at(-1)) continue;
      response.writeHead(502, { "content-length": 0 }).end();
      return;
    }
  };
  const server = createServer((request, response) => {
    void forward(request, response, null);
  });
  server.on("upgrade", (request, socket, head) => {
    const response = new ServerResponse(request);
    response.assignSocket(request.socket);
    socket.on("error", () => {});
    void forward(request, response, { socket, head });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: address !== null && typeof address !== "string" ? address.port : 0,
    dispose: async () => {
      await forwarder.close();
      await forwarder.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

describe("http-proxy forwarder", () => {
  it.each(forwarderSuite({ create }))("$name", ({ run }) => run());

  it("names the install command when the driver is missing", async () => {
    const name: string = "http-proxy-that-nobody-has-installed";
    const error = await loadDriver(() => import(name)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DinpError);
    expect(error).toMatchObject({ code: "DINP_DRIVER_MISSING", details: { package: "http-proxy" } });
    expect(error instanceof DinpError && error.hint).toContain("npm install http-proxy");
  });

  it("refuses to be used after its end", async () => {
    const forwarder = await loadHttpProxyForwarder();
    await forwarder.close();
    const request = new (await import("node:http")).IncomingMessage(new (await import("node:net")).Socket());
    const exchange = {
      request,
      response: new ServerResponse(request),
      target: "/",
      fields: [],
      upgrade: null,
    };
    const options = { addedFields: {}, connectTimeoutMs: 1, responseTimeoutMs: 1 };
    const endpoint = { instanceId: "i", host: "127.0.0.1", port: 1 };
    await expect(forwarder.forward(exchange, endpoint, options)).rejects.toMatchObject({
      code: "DINP_CLOSED",
    });
  });
});

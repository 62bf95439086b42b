import { createServer, type IncomingMessage, ServerResponse } from "node:http";
import type { Forwarder, ForwardOutcome } from "@dinp/core";
import type { NodeExchange } from "@dinp/core/http-proxy";
import type { ForwarderSuiteOptions, ForwarderUnderTest, ForwardPlan } from "@dinp/core/testing";

/** A `node:http` server in front of a forwarder, as the suite of forwarders wants it. */
export function forwarderFront(
  load: () => Promise<Forwarder<NodeExchange>>,
): ForwarderSuiteOptions["create"] {
  return async (plan, onOutcome) => listenInFront(await load(), plan, onOutcome);
}

async function listenInFront(
  forwarder: Forwarder<NodeExchange>,
  plan: ForwardPlan,
  onOutcome: (outcome: ForwardOutcome) => void,
): Promise<ForwarderUnderTest> {
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
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Endpoint } from "@dinp/core";

/** A real `node:http` server as an instance of an app. */
export interface AppEndpoint {
  readonly endpoint: Endpoint;
  readonly server: Server;
  openConnections(): Promise<number>;
  close(): Promise<void>;
}

export async function startAppEndpoint(
  instanceId: string,
  handler: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => {
    response.end(instanceId);
  },
): Promise<AppEndpoint> {
  const server = createServer(handler);
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(address !== null && typeof address !== "string" ? address.port : 0);
    });
  });
  return {
    endpoint: { instanceId, host: "127.0.0.1", port },
    server,
    openConnections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => {
          if (error === null) resolve(count);
          else reject(error);
        });
      }),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An endpoint where nothing listens. */
export async function deadEndpoint(instanceId: string): Promise<Endpoint> {
  const app = await startAppEndpoint(instanceId);
  await app.close();
  return app.endpoint;
}

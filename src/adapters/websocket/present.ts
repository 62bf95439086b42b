import { DinpError, type AgentHello, type AgentServices } from "@dinp/core";
import { closeCodes } from "./close-codes.js";
import type { Dialled } from "./dial.js";
import { connectionGone } from "./failures.js";
import { FrameSocket } from "./frame-socket.js";
import { encodeFrame, serverFrameSchema, type ServerFrame } from "./frames.js";
import { randomStart } from "./greeting.js";
import { DEFAULT_PING_MS } from "./limits.js";
import type { WebSocketLinkClientOptions } from "./options.js";
import { ServerConnection, type ServerConnectionOwner } from "./server-connection.js";

/** Says who the agent is, and waits until the server has accepted it. `DINP_UNAVAILABLE`, `DINP_ABORTED`. */
export function present(
  { webSocket, bytesRead }: Extract<Dialled, { readonly refusal: null }>,
  who: { readonly hello: AgentHello; readonly run: string },
  { pingMs = DEFAULT_PING_MS, connectMs = 15_000 }: WebSocketLinkClientOptions,
  { signal, ...services }: AgentServices & { readonly signal: AbortSignal },
  owner: ServerConnectionOwner,
): Promise<ServerConnection> {
  return new Promise((resolve, reject) => {
    const start = randomStart();
    const giveUp = (): void => {
      void socket.close(closeCodes.normal, "the agent gave up");
    };
    const late = setTimeout(giveUp, connectMs);
    const done = (): void => {
      clearTimeout(late);
      signal.removeEventListener("abort", giveUp);
    };
    const socket = new FrameSocket<ServerFrame>(
      webSocket,
      { schema: serverFrameSchema, pingMs, bytesRead, firstIncoming: start },
      {
        onFrame: ({ frame }) => {
          if (frame.t !== "welcome") throw new Error(`${frame.t} came where welcome was due`);
          done();
          socket.startAt(frame.start);
          resolve(new ServerConnection(socket, services, owner));
        },
        onEnd: ({ reason }) => {
          done();
          reject(signal.aborted ? givenUp() : connectionGone(reason));
        },
      },
    );
    signal.addEventListener("abort", giveUp, { once: true });
    socket.write(encodeFrame({ t: "hello", start, run: who.run, hello: who.hello }));
    if (signal.aborted) giveUp();
  });
}

function givenUp(): DinpError {
  return new DinpError("DINP_ABORTED", "The connection to the server was given up.");
}

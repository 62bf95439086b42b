import { randomInt } from "node:crypto";
import type { WebSocket } from "ws";
import { closeCodes } from "./close-codes.js";
import { connectionGone } from "./failures.js";
import { FrameSocket, type FrameSocketOptions } from "./frame-socket.js";
import { agentFrameSchema, type AgentFrame } from "./frames.js";

/** How many numbers there are to begin at: 47 bits. */
const STARTS = 2 ** 47;

export type HelloFrame = Extract<AgentFrame, { readonly t: "hello" }>;

/** An agent that has said who it is, and was not answered yet. */
export interface Greeting {
  readonly socket: FrameSocket<AgentFrame>;
  readonly hello: HelloFrame;
  /** The number that its next frame must have. */
  readonly start: number;
}

/** A number that frames of another connection will not have. */
export function randomStart(): number {
  return randomInt(STARTS);
}

/** Waits for the first frame. `DINP_UNAVAILABLE` when there is none in that time, or another one than `hello`. */
export function greet(
  webSocket: WebSocket,
  options: Pick<FrameSocketOptions<AgentFrame>, "pingMs" | "bytesRead">,
  waitMs: number,
): Promise<Greeting> {
  return new Promise((resolve, reject) => {
    const start = randomStart();
    const late = setTimeout(() => {
      void socket.close(closeCodes.badFrame, "it does not say who it is");
    }, waitMs);
    const socket = new FrameSocket<AgentFrame>(
      webSocket,
      { ...options, schema: agentFrameSchema, firstIncoming: 0 },
      {
        onFrame: ({ frame }) => {
          if (frame.t !== "hello") throw new Error(`${frame.t} came where hello was due`);
          clearTimeout(late);
          socket.expectFrom(start);
          socket.startAt(frame.start);
          resolve({ socket, hello: frame, start });
        },
        onEnd: ({ reason }) => {
          clearTimeout(late);
          reject(connectionGone(reason));
        },
      },
    );
  });
}

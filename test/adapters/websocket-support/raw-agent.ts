import { once } from "node:events";
import { WebSocket } from "ws";
import { helloOf } from "./sessions.js";
import { JOIN_TOKEN } from "./link-rig.js";

const PROTOCOL = "dinp-link.1";

/** A peer that speaks the frames of an agent, and can say what none would. */
export class RawAgent {
  readonly #socket: WebSocket;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly received: Record<string, unknown>[] = [];
  #n = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("message", (data: Buffer) => {
      this.received.push(JSON.parse(data.toString()) as Record<string, unknown>);
    });
    this.closed = once(socket, "close").then(([code, reason]: unknown[]) => ({
      code: Number(code),
      reason: String(reason),
    }));
  }

  /** Connects with a key for `node`, and says nothing yet. */
  static async open(url: string, node = "node-1", protocol = PROTOCOL): Promise<RawAgent> {
    const headers = {
      authorization: `Bearer ${JOIN_TOKEN}`,
      "dinp-node": node,
      "dinp-node-key-hash": "a".repeat(64),
    };
    const socket = new WebSocket(`${url.replace("http", "ws")}/v1/link`, [protocol], { headers });
    const agent = new RawAgent(socket);
    await once(socket, "open");
    return agent;
  }

  /** Says who it is, and waits for the welcome. */
  static async welcomed(url: string, node = "node-1"): Promise<RawAgent> {
    const agent = await RawAgent.open(url, node);
    agent.send({ t: "hello", start: 1_000, run: "raw", hello: helloOf(node) });
    while (agent.received.length === 0) await once(agent.#socket, "message");
    agent.#n = Number(agent.received[0]?.["start"]);
    return agent;
  }

  /** The number of the next frame. */
  get next(): number {
    return this.#n;
  }

  send(frame: object): void {
    this.raw(JSON.stringify({ n: this.#n, ...frame }));
    this.#n += 1;
  }

  raw(data: string | Uint8Array): void {
    this.#socket.send(data);
  }

  /** Reads nothing from now on, and so answers no ping. */
  deafen(): void {
    this.#socket.pause();
  }

  destroy(): void {
    this.#socket.terminate();
  }
}

import { Agent, request } from "node:http";
import { type Answer, SteadyLoad } from "./harness.js";

/** How long outages last: short in CI, as long as promised with `DINP_TEST_OUTAGE_S=600`. */
export const OUTAGE_MS = 1_000 * Number(process.env["DINP_TEST_OUTAGE_S"] ?? "15");

/** No router takes longer for a request whose first endpoints do not answer. */
const ANSWER_MS_MAX = 60_000;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks an app of a router; by a connection of its own unless an agent is given. */
export function askRouter(port: number, host: string, agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, headers: { host }, agent: agent ?? false };
    const asked = request(options, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.once("error", reject);
      response.once("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    asked.setTimeout(ANSWER_MS_MAX, () => asked.destroy(new Error("no answer in time")));
    asked.once("error", reject);
    asked.end();
  });
}

/** Asks a router for an app at a steady rate, in turn on connections that are kept and on new ones. */
export class RouterLoad {
  /** How many requests had which end: a status, or an error's message. */
  readonly ends = new Map<string, number>();
  /** Those that did not end with 200: when they were sent, by `performance.now()`. */
  readonly failedAt: number[] = [];
  /** Who answered. */
  readonly answered = new Set<string>();
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });
  readonly #load: SteadyLoad;
  #isKept = false;

  constructor(perSecond: number, port: number, host: string) {
    this.#load = new SteadyLoad(perSecond, () => {
      this.#isKept = !this.#isKept;
      return this.#ask(port, host, this.#isKept ? this.#agent : undefined);
    });
  }

  get sent(): number {
    return this.#load.sent;
  }

  get failures(): readonly string[] {
    return this.#load.failures;
  }

  /** Sends no more; resolves when all has ended. */
  async stop(): Promise<void> {
    await this.#load.stop();
    this.#agent.destroy();
  }

  async #ask(port: number, host: string, agent: Agent | undefined): Promise<Answer> {
    const sentAt = performance.now();
    try {
      const answer = await askRouter(port, host, agent);
      this.#count(String(answer.status));
      if (answer.status === 200) this.answered.add(answer.body);
      else this.failedAt.push(sentAt);
      return answer;
    } catch (error) {
      this.#count(String(error));
      this.failedAt.push(sentAt);
      throw error;
    }
  }

  #count(end: string): void {
    this.ends.set(end, (this.ends.get(end) ?? 0) + 1);
  }
}

/** Of several loads, for people: `200: 1500`. */
export function endsOf(loads: readonly RouterLoad[]): string {
  const sums = new Map<string, number>();
  for (const { ends } of loads) for (const [end, count] of ends) sums.set(end, (sums.get(end) ?? 0) + count);
  return [...sums].map(([end, count]) => `${end}: ${String(count)}`).join(", ");
}

import { once } from "node:events";
import { Agent, request } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import type { Instance, InstanceList } from "./cluster-apps.js";

/** Twenty times a second. */
const SAMPLE_MS = 50;
/** What takes longer says nothing about an instance: the machine may be busy. */
const PROBE_MS_MAX = 2_000;

/** How an app stood at one moment. */
export interface Sample {
  /** By `performance.now()`. */
  readonly at: number;
  /** Instances that have a record. */
  readonly known: number;
  /** To be running, ready by their records, and answering where routers are. */
  readonly serving: number;
  /** Of those that do not: what came of asking them, and what the API says of them, as JSON. */
  readonly missing: readonly string[];
}

export interface SampledApp {
  readonly apiUrl: string;
  readonly token: string;
  readonly app: string;
}

/** Looks twenty times a second at how an app stands, by the API and by asking each of its instances. */
export class Sampler {
  readonly samples: Sample[] = [];
  /** How often the API did not answer. */
  misses = 0;
  /** The host of a node that is cut off: whatever runs there serves nobody. */
  cutOff: string | null = null;
  readonly #app: SampledApp;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  /** What each instance answered last. */
  readonly #answers = new Map<string, string>();
  readonly #ended: Promise<void>;
  #isOver = false;

  constructor(app: SampledApp) {
    this.#app = app;
    this.#ended = this.#run();
    onTestFinished(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#ended;
    this.#agent.destroy();
  }

  /** The samples taken since, by `performance.now()`. */
  since(at: number): readonly Sample[] {
    return this.samples.filter((sample) => sample.at >= at);
  }

  /** The first sample after a time for which it holds, once there is one. */
  async first(after: number, holds: (sample: Sample) => boolean, timeoutMs: number): Promise<Sample> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const found = this.samples.find((sample) => sample.at >= after && holds(sample));
      if (found !== undefined) return found;
      if (performance.now() > end) {
        const [last] = this.samples.slice(-1);
        throw new Error(`not within ${String(timeoutMs)} ms; last: ${JSON.stringify(last)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const at = performance.now();
      await this.#sample(at);
      const leftMs = SAMPLE_MS - (performance.now() - at);
      await new Promise((resolve) => setTimeout(resolve, Math.max(1, leftMs)));
    }
  }

  /** Records first: of what is stopped meanwhile they say rather too much than too little. */
  async #sample(at: number): Promise<void> {
    const items = await this.#list();
    if (items === null) {
      this.misses += 1;
      return;
    }
    const problems = await Promise.all(items.map((instance) => this.#problemOf(instance)));
    const missing = items.flatMap((instance, index) => {
      const problem = problems[index] ?? null;
      return problem === null ? [] : [`${problem} ${JSON.stringify(instance)}`];
    });
    this.samples.push({ at, known: items.length, serving: items.length - missing.length, missing });
  }

  async #list(): Promise<readonly Instance[] | null> {
    const { apiUrl, token, app } = this.#app;
    try {
      const answer = await fetch(`${apiUrl}/v1/instances?app=${app}`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(PROBE_MS_MAX),
      });
      return answer.ok ? ((await answer.json()) as InstanceList).items : null;
    } catch {
      return null;
    }
  }

  /** Why the instance serves nobody; null when it does. */
  async #problemOf({ id, desired, ready, endpoint }: Instance): Promise<string | null> {
    if (desired !== "running" || !ready || endpoint === null) return "not ready:";
    if (this.cutOff !== null && endpoint.startsWith(`${this.cutOff}:`)) return "cut off:";
    const answer = await answerAt(endpoint, this.#agent);
    if (answer !== null) this.#answers.set(id, answer);
    const last = this.#answers.get(id) ?? "nothing yet";
    return last === id ? null : `answered ${last}:`;
  }
}

/** The body or the error; null: not in time, which says nothing. */
async function answerAt(endpoint: string, agent: Agent): Promise<string | null> {
  try {
    return await askOnce(endpoint, agent);
  } catch (error) {
    // A connection that was kept may be closed by its other end just as it is used.
    if (error instanceof ReusedError) return await askOnce(endpoint, agent).catch(String);
    return String(error);
  }
}

/** A request failed on a connection that had been used before. */
class ReusedError extends Error {}

function askOnce(endpoint: string, agent: Agent): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const asked = request(`http://${endpoint}/`, { agent }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.once("error", reject);
      response.once("end", () => {
        resolve(body);
      });
    });
    asked.setTimeout(PROBE_MS_MAX, () => {
      resolve(null);
      asked.destroy();
    });
    asked.once("error", (error) => {
      reject(asked.reusedSocket ? new ReusedError(String(error), { cause: error }) : error);
    });
    asked.end();
  });
}

/** Leads connections to a port of an address on to a port of this machine's own; gives the former. */
export async function relay(address: string, port: number): Promise<number> {
  const sockets = new Set<Socket>();
  const join = (from: Socket, to: Socket): void => {
    sockets.add(from);
    from.on("error", () => undefined);
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
    from.pipe(to);
  };
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    join(client, upstream);
    join(upstream, client);
  });
  server.listen(0, address);
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

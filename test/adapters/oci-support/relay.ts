import {
  createServer,
  request,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

/** One answer of the server behind, to be changed on its way. */
export interface RelayedAnswer {
  status: number;
  headers: OutgoingHttpHeaders;
  body: Buffer;
}

export interface RelayedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** What a relay does with a request: an answer of its own instead of the server's, or a change of the server's. */
export interface RelayRules {
  /** An answer before anything of the request's body is read; null reads it. */
  readonly early?: (asked: Omit<RelayedRequest, "body">) => Partial<RelayedAnswer> | null;
  /** An answer without asking the server; null asks it. */
  readonly instead?: (asked: RelayedRequest) => Partial<RelayedAnswer> | null;
  /** A change of the server's answer. */
  readonly change?: (answer: RelayedAnswer, asked: RelayedRequest) => void;
}

/** An HTTP relay before a real registry: it lies, delays or leads elsewhere, as real ones and the proxies before them do. */
export class Relay {
  readonly requests: RelayedRequest[] = [];
  rules: RelayRules = {};
  readonly #server = createServer((incoming, response) => {
    void this.#relay(incoming, response).catch(() => response.destroy());
  });
  readonly #target: string;

  private constructor(target: string) {
    this.#target = target;
  }

  static async start(target: string, rules: RelayRules = {}): Promise<Relay> {
    const relay = new Relay(target);
    relay.rules = rules;
    await new Promise<void>((resolve) => relay.#server.listen(0, "127.0.0.1", resolve));
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #relay(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const head = { method: incoming.method ?? "", path: incoming.url ?? "", headers: incoming.headers };
    const early = this.rules.early?.(head) ?? null;
    const asked = { ...head, body: early === null ? await collectBody(incoming) : Buffer.alloc(0) };
    this.requests.push(asked);
    const own = early ?? this.rules.instead?.(asked) ?? null;
    const answer =
      own === null ? await this.#ask(asked) : { status: 200, headers: {}, body: Buffer.alloc(0), ...own };
    if (own === null) this.rules.change?.(answer, asked);
    response.writeHead(answer.status, {
      ...answer.headers,
      ...(asked.method === "HEAD" ? {} : { "content-length": answer.body.length }),
    });
    response.end(answer.body);
  }

  async #ask({ method, path, headers, body }: RelayedRequest): Promise<RelayedAnswer> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const asking = request(`${this.#target}${path}`, { method, headers, agent: false }, resolve);
      asking.on("error", reject);
      asking.end(body);
    });
    const { statusCode = 0, headers: fields } = answer;
    return { status: statusCode, headers: { ...fields }, body: await collectBody(answer) };
  }
}

async function collectBody(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

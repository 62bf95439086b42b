import type { Endpoint, Forwarder, ForwardOptions, ForwardOutcome } from "@dinp/core";
import type { NodeExchange } from "@dinp/core/http-proxy";
import type { Mutant } from "./matrix.js";

type Failed = Extract<ForwardOutcome, { readonly kind: "failed" }>;

interface Call {
  readonly exchange: NodeExchange;
  readonly endpoint: Endpoint;
  readonly options: ForwardOptions;
}

type ForwarderOf = Forwarder<NodeExchange>;

/** A forwarder that forwards otherwise. */
function forwarding(
  change: (forward: (call: Call) => Promise<ForwardOutcome>, call: Call) => Promise<ForwardOutcome>,
): (forwarder: ForwarderOf) => ForwarderOf {
  return (forwarder) => ({
    forward: (exchange, endpoint, options) =>
      change((call) => forwarder.forward(call.exchange, call.endpoint, call.options), {
        exchange,
        endpoint,
        options,
      }),
    close: () => forwarder.close(),
  });
}

/** A forwarder that tells another outcome. */
function telling(
  change: (outcome: ForwardOutcome, exchange: NodeExchange) => ForwardOutcome,
): (forwarder: ForwarderOf) => ForwarderOf {
  return forwarding(async (forward, call) => change(await forward(call), call.exchange));
}

function failing(
  change: (outcome: Failed, exchange: NodeExchange) => ForwardOutcome,
): (forwarder: ForwarderOf) => ForwarderOf {
  return telling((outcome, exchange) => (outcome.kind === "failed" ? change(outcome, exchange) : outcome));
}

/** The values of the client's field, or null when it sent none. */
function fieldOf({ fields }: NodeExchange, name: string): string | null {
  const at = fields.findIndex((each, i) => i % 2 === 0 && each.toLowerCase() === name);
  return at < 0 ? null : (fields[at + 1] ?? null);
}

function isChunked({ request }: NodeExchange): boolean {
  return request.headers["transfer-encoding"] !== undefined;
}

function isIdempotent({ request }: NodeExchange): boolean {
  return ["GET", "HEAD", "PUT", "DELETE"].includes(request.method ?? "");
}

const requestMutants: readonly Mutant<ForwarderOf>[] = [
  {
    name: "the request's path is tidied up",
    caughtBy: "sends method, target, fields and body as they came",
    mutate: forwarding((forward, call) => {
      const target = new URL(`http://x.test${call.exchange.target}`).pathname;
      const untidy = call.exchange.target.startsWith("//");
      return forward(untidy ? { ...call, exchange: { ...call.exchange, target } } : call);
    }),
  },
  {
    name: "the client's field of an added one's name goes with it",
    caughtBy: "adds the router's fields in place of the client's",
    mutate: forwarding((forward, call) => {
      const theirs = fieldOf(call.exchange, "x-added");
      if (theirs === null) return forward(call);
      return forward({
        ...call,
        options: { ...call.options, addedFields: { "X-Added": `router, ${theirs}` } },
      });
    }),
  },
  {
    name: "a field of this connection alone is passed on",
    caughtBy: "removes hop-by-hop fields both ways",
    mutate: forwarding((forward, call) => {
      const te = fieldOf(call.exchange, "te");
      if (te === null) return forward(call);
      return forward({
        ...call,
        options: { ...call.options, addedFields: { ...call.options.addedFields, TE: te } },
      });
    }),
  },
  ...["GET", "POST", "DELETE", "OPTIONS"].map((method): Mutant<ForwarderOf> => ({
    name: `the chunked body of ${method} is left out`,
    caughtBy: `frames the chunked body of ${method}`,
    mutate: forwarding((forward, call) => {
      const { request } = call.exchange;
      if (request.method === method && isChunked(call.exchange)) {
        const rest = { ...request.headers };
        delete rest["transfer-encoding"];
        // A retry must know it for what it was: only whole requests come here.
        if (call.options.responseTimeoutMs > 1_000 && call.exchange.target === "/") request.headers = rest;
      }
      return forward(call);
    }),
  })),
  {
    name: "the head waits for the body",
    caughtBy: "passes the head on before there is a body",
    mutate: forwarding((forward, call) => {
      call.exchange.response.flushHeaders = () => undefined;
      return forward(call);
    }),
  },
  {
    name: "a request that met a closed kept connection is given up",
    caughtBy: "asks again, unnoticed, when a kept connection was closed at reuse",
    mutate: (forwarder) => {
      const requests = new Map<number, number>();
      return {
        forward: (exchange, endpoint, options) => {
          const count = (requests.get(endpoint.port) ?? 0) + 1;
          requests.set(endpoint.port, count);
          if (count % 4 !== 0) return forwarder.forward(exchange, endpoint, options);
          return Promise.resolve({
            kind: "failed",
            reason: "reset",
            retryable: true,
            message: "It was closed.",
          });
        },
        close: () => forwarder.close(),
      };
    },
  },
  {
    name: "a tunnel that ended well is called cut short",
    caughtBy: "makes a tunnel of an accepted WebSocket and ends both sides together",
    mutate: telling((outcome) =>
      outcome.kind === "answered" && outcome.status === 101 ? { ...outcome, complete: false } : outcome,
    ),
  },
  {
    name: "an answer to HEAD is called cut short",
    caughtBy: "passes an answer without a body on as one",
    mutate: telling((outcome, { request }) =>
      outcome.kind === "answered" && request.method === "HEAD" ? { ...outcome, complete: false } : outcome,
    ),
  },
  {
    name: "idle connections outlive the forwarder",
    caughtBy: "ends idle connections when it is closed",
    mutate: (forwarder) => ({
      forward: (...call) => forwarder.forward(...call),
      close: () => Promise.resolve(),
    }),
  },
];

const failureMutants: readonly Mutant<ForwarderOf>[] = [
  {
    name: "a refused connection is not retryable",
    caughtBy: "tells a failure to connect, after which the same request goes to another endpoint whole",
    mutate: failing((outcome) =>
      outcome.message.includes("ECONNREFUSED") ? { ...outcome, retryable: false } : outcome,
    ),
  },
  {
    name: "a connection that does not come about in time is not retryable",
    caughtBy: "gives a connection up that does not come about in time, and the request goes elsewhere whole",
    mutate: failing((outcome) =>
      outcome.message.includes("no connection within") ? { ...outcome, retryable: false } : outcome,
    ),
  },
  {
    name: "an answer that does not come is waited for",
    caughtBy: "gives a request up whose answer does not come in time",
    mutate: forwarding((forward, call) => {
      const { responseTimeoutMs } = call.options;
      return forward({ ...call, options: { ...call.options, responseTimeoutMs: responseTimeoutMs * 1_000 } });
    }),
  },
  {
    name: "a time-out lets the request be sent twice",
    caughtBy: "gives a request up whose answer does not come in time",
    mutate: failing((outcome) => (outcome.reason === "timeout" ? { ...outcome, retryable: true } : outcome)),
  },
  {
    name: "the time of an answer is counted from the beginning of the request",
    caughtBy: "counts the time of an answer from the end of the request",
    mutate: forwarding(async (forward, call) => {
      const answered = forward(call);
      const { responseTimeoutMs } = call.options;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<ForwardOutcome | null>((resolve) => {
        timer = setTimeout(() => {
          const sent = call.exchange.response.headersSent || call.exchange.request.complete;
          resolve(
            sent ? null : { kind: "failed", reason: "timeout", retryable: false, message: "Too late." },
          );
        }, responseTimeoutMs);
      });
      try {
        return (await Promise.race([answered, late])) ?? (await answered);
      } finally {
        clearTimeout(timer);
      }
    }),
  },
  {
    name: "the time of an answer is counted to its end",
    caughtBy: "counts the time of an answer to its head",
    mutate: forwarding(async (forward, call) => {
      const { response } = call.exchange;
      const timer = setTimeout(() => {
        if (response.headersSent && !response.writableEnded) response.destroy();
      }, call.options.responseTimeoutMs);
      try {
        return await forward(call);
      } finally {
        clearTimeout(timer);
      }
    }),
  },
  {
    name: "a POST without a body may be sent twice",
    caughtBy: "calls a broken connection retryable for a GET only",
    mutate: failing((outcome, { request }) => {
      const bare = request.headers["content-length"] === "0";
      return outcome.reason === "reset" && bare ? { ...outcome, retryable: true } : outcome;
    }),
  },
  {
    name: "an idempotent request may be sent twice although its body is gone",
    caughtBy: "calls a broken connection retryable for no request with a body",
    mutate: failing((outcome, exchange) =>
      outcome.reason === "reset" && isIdempotent(exchange) ? { ...outcome, retryable: true } : outcome,
    ),
  },
  {
    name: "an answer with two framings is taken for a lost connection",
    caughtBy: "refuses an answer with two framings",
    mutate: failing((outcome) =>
      outcome.reason === "bad-response" ? { ...outcome, reason: "reset" } : outcome,
    ),
  },
  {
    name: "an answer that is cut short leaves the client waiting",
    caughtBy: "cuts the client off when the answer is cut short",
    mutate: forwarding((forward, call) => {
      const { response } = call.exchange;
      response.destroy = () => {
        response.end();
        return response;
      };
      return forward(call);
    }),
  },
  {
    name: "a client that goes is called the endpoint's failure",
    caughtBy: "lets go of the endpoint when the client goes before the answer",
    mutate: telling((outcome, { request }) =>
      outcome.kind === "client-gone" && request.method === "GET"
        ? { kind: "failed", reason: "reset", retryable: false, message: "It was lost." }
        : outcome,
    ),
  },
  {
    name: "a client that goes amid its upload is called the endpoint's failure",
    caughtBy: "lets go of the endpoint when the client goes amid an upload",
    mutate: telling((outcome, { request }) =>
      outcome.kind === "client-gone" && request.method === "POST"
        ? { kind: "failed", reason: "reset", retryable: false, message: "It was lost." }
        : outcome,
    ),
  },
  {
    name: "a download that the client left is called whole",
    caughtBy: "lets go of the endpoint when the client goes amid a download",
    mutate: (forwarder) => ({
      forward: async (exchange, endpoint, options) => {
        const seen = { cut: false };
        const { response } = exchange;
        const destroy = response.destroy.bind(response);
        response.destroy = (error) => {
          seen.cut = true;
          return destroy(error);
        };
        const outcome = await forwarder.forward(exchange, endpoint, options);
        return outcome.kind === "answered" && !seen.cut ? { ...outcome, complete: true } : outcome;
      },
      close: () => forwarder.close(),
    }),
  },
];

/** Forwarders that break one sentence of the port's contract each. */
export const forwarderMutants: readonly Mutant<ForwarderOf>[] = [...requestMutants, ...failureMutants];

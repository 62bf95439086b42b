/**
 * What came back for one request through the router. `router-error`: the router answered for itself, because nothing
 * answers there (its code is in the `x-dinp-error` field). `unreachable`: nobody answered at all.
 */
export type RouterAnswer =
  | { readonly kind: "answered"; readonly status: number }
  | { readonly kind: "router-error"; readonly code: string; readonly status: number }
  | { readonly kind: "unreachable"; readonly reason: string };

/**
 * Asks the router at `routerUrl` for `url`, without looking the URL's host up: `*.localhost` does not resolve everywhere,
 * and a new domain may not lead here yet. Only the answer's head is read. Never rejects.
 */
export async function dialRouter(request: {
  readonly routerUrl: string;
  readonly url: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}): Promise<RouterAnswer> {
  const router = new URL(request.routerUrl);
  const url = new URL(request.url);
  const { request: send } = await (router.protocol === "https:" ? import("node:https") : import("node:http"));
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(request.timeoutMs)]);
  return await new Promise((resolve) => {
    const outgoing = send(
      {
        host: reachableHost(router.hostname),
        port: router.port === "" ? undefined : Number(router.port),
        path: `${url.pathname}${url.search}`,
        method: "GET",
        headers: { host: url.host, "user-agent": "dinp", accept: "*/*" },
        ...(router.protocol === "https:" ? { servername: url.hostname } : {}),
        agent: false,
        signal,
      },
      (answer) => {
        const code = answer.headers["x-dinp-error"];
        const status = answer.statusCode ?? 0;
        answer.destroy();
        resolve(
          code === undefined
            ? { kind: "answered", status }
            : { kind: "router-error", code: Array.isArray(code) ? code.join(", ") : code, status },
        );
      },
    );
    outgoing.on("error", (error) => {
      const timedOut = signal.aborted && !request.signal.aborted;
      const reason = timedOut ? `no answer within ${String(request.timeoutMs)} ms` : reasonOf(error);
      resolve({ kind: "unreachable", reason });
    });
    outgoing.end();
  });
}

/** A router that listens on every address is dialed on this machine. */
function reachableHost(hostname: string): string {
  const host = hostname.replace(/^\[|\]$/g, "");
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

function reasonOf(error: Error): string {
  if ("code" in error && error.code === "ECONNREFUSED") return "connection refused";
  return error.message;
}

import type { IncomingMessage } from "node:http";
import {
  Attempts,
  Balancer,
  type Endpoint,
  type ForwardOptions,
  type ForwardOutcome,
  messageOf,
  type Route,
} from "@dinp/core";
import {
  asksForWebSocket,
  type CheckedRequest,
  type CheckLimits,
  checkRequest,
  hasBody,
  isRefusal,
} from "./check-request.js";
import type { Connection, Job } from "./connection.js";
import type { NodeExchange } from "./node-exchange.js";
import type { AccessRecord, HttpRouterOptions } from "./options.js";
import { badRequest, type Refusal, sendRefusal } from "./refusal.js";
import {
  clientAddress,
  clientFields,
  hasComeRound,
  requestIdOf,
  routerFields,
  TrustedProxies,
} from "./router-fields.js";

/** How long a client may go on sending a body after its request was answered. */
const DISCARD_MS = 10_000;

/** What a request came to. */
interface Result {
  readonly outcome: ForwardOutcome | Refusal;
  readonly route: Route | null;
  readonly instanceId: string | null;
  readonly attempts: number;
}

/** Takes one request after the other from check to answer: route, endpoint, retries, error page. */
export class Dispatcher {
  readonly #options: HttpRouterOptions;
  readonly #balancer: Balancer;
  readonly #trusted: TrustedProxies;
  readonly #limits: CheckLimits;
  readonly #timeouts: Pick<ForwardOptions, "connectTimeoutMs" | "responseTimeoutMs">;

  constructor(options: HttpRouterOptions) {
    this.#options = options;
    this.#balancer = new Balancer(options.ejection);
    this.#trusted = new TrustedProxies(options.trustedProxies ?? []);
    this.#limits = { headerCountMax: options.headerCountMax ?? 200 };
    this.#timeouts = {
      connectTimeoutMs: options.connectTimeoutMs ?? 2_000,
      responseTimeoutMs: options.responseTimeoutMs ?? 60_000,
    };
  }

  /**
   * Answers the job; resolves when its exchange is over. Never rejects. `upgradeHead`: what the client sent after a
   * request to upgrade, null for any other request.
   */
  async dispatch(job: Job, connection: Connection, upgradeHead: Uint8Array | null): Promise<void> {
    const startedAt = this.#options.clock.monotonicMs();
    const { request, response } = job;
    const requestId = requestIdOf(request);
    response.setHeader("x-request-id", requestId);
    const checked = job.refusal ?? this.#check(request, upgradeHead);
    let result: Result;
    if (isRefusal(checked)) {
      result = { outcome: checked, route: null, instanceId: null, attempts: 0 };
    } else {
      const upgrade =
        upgradeHead !== null && asksForWebSocket(request)
          ? { socket: connection.socket, head: upgradeHead }
          : null;
      if (upgrade !== null) connection.upgrade();
      result = await this.#forwardInTurns(job, checked, { requestId, upgrade, startedAt });
    }
    const outcome = job.refusal ?? result.outcome;
    if ("reason" in outcome && !("kind" in outcome)) this.#refuse(job, connection, outcome);
    connection.discardRest(request, DISCARD_MS);
    this.#report(job, isRefusal(checked) ? null : checked, { ...result, outcome }, requestId, startedAt);
  }

  #check(request: IncomingMessage, upgradeHead: Uint8Array | null): CheckedRequest | Refusal {
    const checked = checkRequest(request, this.#limits);
    if (isRefusal(checked)) return checked;
    if (upgradeHead !== null && hasBody(request)) {
      return badRequest(
        "A request with a body cannot ask for another protocol. Leave the Upgrade field out.",
      );
    }
    if (request.headers.expect !== undefined && !/^100-continue$/i.test(request.headers.expect)) {
      return {
        status: 417,
        reason: "expectation_failed",
        message: "The only expectation that can be met is 100-continue.",
        close: true,
      };
    }
    return hasComeRound(request, this.#options.routerId) ? loopDetected : checked;
  }

  async #forwardInTurns(
    { request, response }: Job,
    checked: CheckedRequest,
    context: {
      readonly requestId: string;
      readonly upgrade: NodeExchange["upgrade"];
      readonly startedAt: number;
    },
  ): Promise<Result> {
    const { follower, clock, retry } = this.#options;
    const { routerId } = this.#options;
    const { target } = checked;
    const fields = clientFields(request.rawHeaders);
    const exchange: NodeExchange = { request, response, target, fields, upgrade: context.upgrade };
    const { requestId } = context;
    const addedFields = routerFields(request, checked, { requestId, routerId, trusted: this.#trusted });
    const attempts = new Attempts(this.#balancer, context.startedAt, retry);
    let last: Omit<Result, "attempts"> | null = null;
    for (;;) {
      const route = follower.index().find(checked.host, checked.path);
      const endpoint = route === null ? null : attempts.next(route, clock.monotonicMs());
      if (route === null || endpoint === null) {
        const attempted = last ?? { outcome: this.#noEndpoint(route, checked), route, instanceId: null };
        return { ...attempted, attempts: attempts.count };
      }
      const outcome = await this.#attempt(exchange, endpoint, addedFields);
      attempts.ended(endpoint, outcome, clock.monotonicMs());
      this.#learn(outcome, requestId);
      last = { outcome: asAnswered(outcome), route, instanceId: endpoint.instanceId };
    }
  }

  async #attempt(
    exchange: NodeExchange,
    endpoint: Endpoint,
    addedFields: ForwardOptions["addedFields"],
  ): Promise<ForwardOutcome> {
    const { follower, forwarder, logger } = this.#options;
    follower.begin(endpoint.instanceId);
    try {
      return await forwarder.forward(exchange, endpoint, { addedFields, ...this.#timeouts });
    } catch (error) {
      logger.error("the forwarder threw; the request is given up", { error: messageOf(error) });
      const message = "The router could not forward the request.";
      return { kind: "failed", reason: "bad-response", retryable: false, message };
    } finally {
      follower.end(endpoint.instanceId);
    }
  }

  #learn(outcome: ForwardOutcome, requestId: string): void {
    if (outcome.kind !== "failed") return;
    const index = this.#options.follower.index();
    this.#balancer.forget((instanceId) => index.hasInstance(instanceId));
    const { reason, message, retryable } = outcome;
    this.#options.logger.debug("an endpoint failed", { requestId, reason, message, retryable });
  }

  #noEndpoint(route: Route | null, { host }: CheckedRequest): Refusal {
    const version = this.#options.follower.version();
    if (version === null || (route === null && version.revision === 0)) return noRouteTable;
    if (route === null) {
      return this.#options.follower.index().hasHost(host) ? unknownPath(host) : unknownHost(host);
    }
    return route.unavailable === "stopped" ? appStopped(route) : noReadyInstance(route);
  }

  #refuse(job: Job, connection: Connection, refusal: Refusal): void {
    if (refusal.close === true) connection.doom();
    const { request, response } = job;
    if (!response.headersSent && !response.destroyed) sendRefusal(request, response, refusal);
  }

  #report(
    { request, response }: Job,
    checked: CheckedRequest | null,
    { outcome, route, instanceId, attempts }: Result,
    requestId: string,
    startedAt: number,
  ): void {
    const { onRequest, clock } = this.#options;
    if (onRequest === undefined) return;
    onRequest({
      requestId,
      client: clientAddress(request),
      method: request.method ?? "",
      host: checked?.host ?? null,
      path: checked?.path ?? null,
      appId: route?.appId ?? null,
      appName: route?.appName ?? null,
      instanceId,
      attempts,
      durationMs: clock.monotonicMs() - startedAt,
      ...answerOf(outcome, response.writableEnded),
    });
  }
}

function answerOf(
  outcome: ForwardOutcome | Refusal,
  ended: boolean,
): Pick<AccessRecord, "status" | "reason" | "complete"> {
  if (!("kind" in outcome)) return { status: outcome.status, reason: outcome.reason, complete: ended };
  switch (outcome.kind) {
    case "answered":
      return { status: outcome.status, reason: null, complete: outcome.complete };
    case "failed":
    case "client-gone":
      return { status: null, reason: null, complete: false };
  }
}

/** A failure of the last endpoint that was asked, as the client sees it; anything else as it is. */
function asAnswered(outcome: ForwardOutcome): ForwardOutcome | Refusal {
  if (outcome.kind !== "failed") return outcome;
  if (outcome.reason === "timeout") {
    return {
      status: 504,
      reason: "endpoint_timeout",
      message: "The app did not answer in time. Its log may say what it waits for.",
    };
  }
  return {
    status: 502,
    reason: "endpoint_failed",
    message: "The app could not be reached, or broke off before it answered. Its log may say why.",
    retryAfterSeconds: 1,
  };
}

const loopDetected: Refusal = {
  status: 508,
  reason: "loop_detected",
  message: "The request has passed this router before. An app or a domain leads back to it.",
};

const noRouteTable: Refusal = {
  status: 503,
  reason: "no_route_table",
  message: "This router has no routes yet. They come with the first app, or in a moment after a start.",
  retryAfterSeconds: 1,
};

function unknownHost(host: string): Refusal {
  return {
    status: 404,
    reason: "unknown_host",
    message: `No app answers at ${host}. \`dinp apps\` lists the apps, \`dinp domains add\` binds a domain to one.`,
  };
}

function unknownPath(host: string): Refusal {
  return {
    status: 404,
    reason: "unknown_path",
    message: `No app answers at this path of ${host}. \`dinp domains add ${host}/\` binds the rest of the host to one.`,
  };
}

function appStopped({ appName }: Route): Refusal {
  return {
    status: 503,
    reason: "app_stopped",
    message: `The app ${appName} is stopped. \`dinp start ${appName}\` starts it.`,
  };
}

function noReadyInstance({ appName }: Route): Refusal {
  return {
    status: 503,
    reason: "no_ready_instance",
    message: `The app ${appName} has no instance that is ready. \`dinp app ${appName}\` says why.`,
    retryAfterSeconds: 1,
  };
}

import { CliError, exitCodes } from "./exit-codes.js";
import { dialRouter, type RouterAnswer } from "./router-dial.js";
import { printable } from "./text.js";
import { outageMs, throwIfInterrupted, type Waiting } from "./wait-guards.js";

const DIAL_TIMEOUT_MS = 10_000;
const POLL_MS = 100;

/** Dials the router until the app answers at its first URL, then prints its URLs. */
export async function awaitAnswer(waiting: Waiting, urls: readonly string[]): Promise<void> {
  const { context, app } = waiting;
  const [url, ...others] = urls;
  if (url === undefined) return;
  const { routerUrl } = await waiting.client.info({ signal: context.signal });
  const answer = await dialUntil(waiting, { routerUrl, url }, (last) => last.kind === "answered");
  if (answer.kind !== "answered") throw noAnswer(app, url, routerUrl, answer);
  if (answer.status >= 500) {
    context.err.line(
      context.err.paint("yellow", `Note: ${app} answers GET ${url} with status ${String(answer.status)}.`),
    );
  }
  for (const other of others) context.err.line(`also at ${printable(other)}`);
  (waiting.isJson ? context.err : context.out).line(printable(url));
}

/** Dials the router until it leads to the app at `url`; a {@link CliError} when it does not in time. */
export async function awaitOnRouter(waiting: Waiting, url: string): Promise<void> {
  const { routerUrl } = await waiting.client.info({ signal: waiting.context.signal });
  const answer = await dialUntil(waiting, { routerUrl, url }, (last) => last.kind === "answered");
  if (answer.kind !== "answered") throw noAnswer(waiting.app, url, routerUrl, answer);
}

/** Dials the router until the app is off it. A router out of reach is said, not an error: the app's instances are gone anyway. */
export async function awaitOffRouter(waiting: Waiting, url: string): Promise<void> {
  const { routerUrl } = await waiting.client.info({ signal: waiting.context.signal });
  const answer = await dialUntil(waiting, { routerUrl, url }, (last) => last.kind !== "answered");
  if (answer.kind === "unreachable") {
    waiting.context.err.line(`Note: the router at ${routerUrl} could not be asked (${answer.reason}).`);
  }
}

async function dialUntil(
  waiting: Waiting,
  target: { readonly routerUrl: string; readonly url: string },
  isDone: (answer: RouterAnswer) => boolean,
): Promise<RouterAnswer> {
  const { context } = waiting;
  const until = Math.min(waiting.deadline, context.now() + outageMs);
  for (;;) {
    const answer = await dialRouter({ ...target, timeoutMs: DIAL_TIMEOUT_MS, signal: context.signal });
    throwIfInterrupted(waiting);
    if (isDone(answer) || context.now() >= until) return answer;
    await context.pause(POLL_MS);
  }
}

function noAnswer(
  app: string,
  url: string,
  routerUrl: string,
  answer: Exclude<RouterAnswer, { readonly kind: "answered" }>,
): CliError {
  if (answer.kind === "unreachable") {
    return new CliError(
      exitCodes.failed,
      `${app} runs, but the router at ${routerUrl} does not answer (${printable(answer.reason)}).`,
      { hints: ["If the router cannot be reached from this machine, use --no-wait."] },
    );
  }
  return new CliError(
    exitCodes.failed,
    `${app} runs, but the router does not lead to it yet (${printable(answer.code)} at ${url}).`,
    { hints: [`"dinp app ${app}" shows its instances, "dinp logs ${app}" what they write.`] },
  );
}

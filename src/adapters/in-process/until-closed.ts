import { connectionGone } from "./channel.js";

/**
 * The items of a service, whose signal aborts with the request's, when the reader leaves and when the connection is closed;
 * the last is told to the reader as `DINP_UNAVAILABLE`.
 */
export async function* untilClosed<Request extends { readonly signal: AbortSignal }, Item>(
  serve: (request: Request) => AsyncIterable<Item>,
  request: Request,
  closed: AbortSignal,
): AsyncGenerator<Item, void, undefined> {
  const ending = new AbortController();
  const end = (): void => {
    ending.abort();
  };
  const signals = [closed, request.signal];
  if (signals.some(({ aborted }) => aborted)) end();
  for (const signal of signals) signal.addEventListener("abort", end, { once: true });
  let isCut = closed.aborted;
  try {
    if (!isCut) {
      for await (const item of serve({ ...request, signal: ending.signal })) yield item;
      isCut = closed.aborted && !request.signal.aborted;
    }
  } catch (error) {
    if (!closed.aborted || request.signal.aborted) throw error;
    isCut = true;
  } finally {
    end();
    for (const signal of signals) signal.removeEventListener("abort", end);
  }
  if (isCut) throw connectionGone();
}

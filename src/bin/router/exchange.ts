import { request as httpRequest, type ClientRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { ApiAnswer, Exchange } from "@dinp/core/client";

/** Sends small requests over Node's own client, each on a connection of its own; `ca`: the authority that servers must be of. */
export function createExchange(ca: string | null): Exchange {
  return ({ method, url, headers, body, signal }) =>
    new Promise<ApiAnswer>((resolve, reject) => {
      if (body !== null && typeof body !== "string") {
        reject(new TypeError("Streams are not sent here."));
        return;
      }
      const options = { method, headers, signal, agent: false };
      const outgoing: ClientRequest =
        url.protocol === "https:"
          ? httpsRequest(url, { ...options, ...(ca === null ? {} : { ca }) })
          : httpRequest(url, options);
      outgoing.on("error", reject);
      outgoing.once("response", (answer) => {
        resolve({ status: answer.statusCode ?? 0, bytes: answer });
      });
      outgoing.end(body ?? undefined);
    });
}

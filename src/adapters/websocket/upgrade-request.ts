import type { IncomingMessage } from "node:http";
import { DinpError, type AdmissionRequest } from "@dinp/core";
import { PROTOCOL } from "./limits.js";

/** The node that calls, and the hash of the key that it will have when it joins. */
export const NODE_FIELD = "dinp-node";
export const KEY_HASH_FIELD = "dinp-node-key-hash";

/** What an upgrade asks for. `DINP_INVALID` (another version, or no node), `DINP_UNAUTHENTICATED` (nothing to show). */
export function admissionRequestOf({ headers }: IncomingMessage): AdmissionRequest {
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  if (!offered.includes(PROTOCOL)) {
    throw new DinpError("DINP_INVALID", `This server speaks ${PROTOCOL}, the agent does not.`, {
      hint: "Run the same version of the platform on servers and nodes.",
    });
  }
  const nodeId = fieldOf(headers[NODE_FIELD], /^[\x21-\x7e]{1,255}$/);
  if (nodeId === null) throw new DinpError("DINP_INVALID", `The field ${NODE_FIELD} names no node.`);
  const secret = /^Bearer +([\x21-\x7e]{1,512})$/i.exec(headers.authorization ?? "")?.[1];
  if (secret === undefined) {
    throw new DinpError("DINP_UNAUTHENTICATED", "The agent shows neither a key nor a join token.", {
      hint: "Give the agent a join token.",
    });
  }
  return { nodeId, secret, newKeyHash: fieldOf(headers[KEY_HASH_FIELD], /^[0-9a-f]{64}$/) };
}

function fieldOf(value: string | readonly string[] | undefined, pattern: RegExp): string | null {
  return typeof value === "string" && pattern.test(value) ? value : null;
}

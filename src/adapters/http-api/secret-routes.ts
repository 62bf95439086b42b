import { createRoute, z } from "@hono/zod-openapi";
import type { Api, ApiOptions } from "./api-context.js";
import { answer, failure, security } from "./route-parts.js";

/** The keys that secrets are sealed with, by name. */

const secretKeysSchema = z
  .object({
    keys: z
      .array(
        z.object({
          name: z.string(),
          state: z.enum(["seals", "opens", "missing"]),
          sealed: z.number().int(),
        }),
      )
      .readonly(),
    unnamed: z.number().int(),
  })
  .openapi("SecretKeys");

const listSecretKeysRoute = createRoute({
  method: "get",
  path: "/v1/secret-keys",
  summary: "Which keys secrets are sealed with, and which of them are still needed",
  description: "Names alone: they tell nothing of the keys.",
  security,
  responses: { 200: answer("Keys, the one that seals first", secretKeysSchema), ...failure },
});

export function addSecretKeys(api: Api, { platform }: ApiOptions): void {
  api.openapi(listSecretKeysRoute, async (c) => c.json(await platform.listSecretKeys(), 200));
}

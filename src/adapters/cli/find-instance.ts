import { isDinpError } from "@dinp/core";
import type { AppDetail, Client } from "@dinp/core/client";
import { parseAppName } from "./app-name.js";
import type { Context } from "./context.js";
import { usageError } from "./exit-codes.js";
import { quote } from "./parse.js";

/** The whole id for its beginning; a whole id of an instance that is gone is left as it is. */
export function findInstance(detail: Pick<AppDetail, "instanceList">, text: string): string {
  const ids = detail.instanceList.map((instance) => instance.id);
  const matches = ids.filter(
    (id) => id.startsWith(text) || id.slice(id.lastIndexOf("-") + 1).startsWith(text),
  );
  const [first, second] = matches;
  if (second !== undefined && !ids.includes(text)) {
    throw usageError(
      `${quote(text)} begins more than one instance's id.`,
      `Say more of it: ${matches.join(", ")}`,
    );
  }
  return ids.includes(text) ? text : (first ?? text);
}

/** The app of that name, or of the instance whose id begins so; `instance` then is that one, else what was asked for. */
export async function findTarget(
  context: Context,
  client: Client,
  target: string,
  instance: string | undefined,
): Promise<{ readonly app: string; readonly instance: string | undefined }> {
  const { signal } = context;
  try {
    const detail = await client.getApp(parseAppName(target), { signal });
    if (instance === undefined) return { app: detail.name, instance: undefined };
    return { app: detail.name, instance: findInstance(detail, instance) };
  } catch (error) {
    if (instance !== undefined || !isDinpError(error, "DINP_NOT_FOUND")) throw error;
    const found = await findAnywhere(client, target, signal);
    if (found === null) throw error;
    return found;
  }
}

/** The instance whose id begins so, of whatever app; null when there is none. */
async function findAnywhere(
  client: Client,
  text: string,
  signal: AbortSignal,
): Promise<{ readonly app: string; readonly instance: string } | null> {
  const found: { readonly app: string; readonly instance: string }[] = [];
  for (const { id, app } of await client.listInstances({}, { signal })) {
    if (id === text) return { app, instance: id };
    if (id.startsWith(text) || id.slice(id.lastIndexOf("-") + 1).startsWith(text))
      found.push({ app, instance: id });
  }
  const [first, second] = found;
  if (second === undefined) return first ?? null;
  const ids = found.map(({ instance }) => instance).slice(0, 10);
  throw usageError(`${quote(text)} begins more than one instance's id.`, `Say more of it: ${ids.join(", ")}`);
}

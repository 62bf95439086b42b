import type { Client, ReleaseResult, ReleaseView } from "@dinp/core/client";
import type { Context } from "../context.js";
import { toJson } from "../text.js";
import { awaitRelease } from "../waiting.js";
import { defaultTimeoutMs, type WaitFlags } from "./shared-options.js";

/** Says which release a change of the app made, or why it made none. */
export function tellChange({ err }: Context, app: string, release: ReleaseResult, unchanged: string): void {
  const { number, note } = release;
  err.line(
    release.unchanged ? `Nothing changed: ${unchanged}` : `Release ${String(number)} of ${app}: ${note}`,
  );
}

/** The end of every command that makes a release: waits for it unless told not to, and prints it when asked for JSON. */
export async function finishRelease(
  context: Context,
  client: Client,
  app: string,
  release: ReleaseView,
  flags: WaitFlags,
): Promise<void> {
  const isJson = flags.json === true;
  const timeoutMs = flags.timeout ?? defaultTimeoutMs;
  if (flags.wait) await awaitRelease(context, client, app, { release, timeoutMs, isJson });
  if (isJson) context.out.line(toJson(release, 2));
}

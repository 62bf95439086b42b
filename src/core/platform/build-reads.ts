import { DinpError } from "../model/errors.js";
import { assertAppName } from "../model/names.js";
import type { Build } from "../model/records.js";
import { withSignal } from "./app-records.js";
import { buildView } from "./app-views.js";
import { shownLines } from "./build-log.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import { pageOfKeys } from "./paging.js";
import { isKey } from "./release-source.js";
import type { BuildsQuery } from "./requests.js";
import { quoted } from "./text.js";
import type { BuildLogView, BuildView, Page } from "./views.js";

export async function getBuild(
  context: PlatformContext,
  name: string,
  id: string,
  options: ReadOptions,
): Promise<BuildView> {
  const build = isKey(id) ? await context.store.get("build", id, withSignal(options)) : null;
  if (build?.value.appName === name) return viewOf(context, build.value);
  throw new DinpError("DINP_NOT_FOUND", `The app ${quoted(name)} has no build ${quoted(id)}.`, {
    hint: "List its builds: the newest 50 are kept.",
  });
}

/** Builds of all apps (or one), those that match, newest first. */
export async function pageBuilds(
  context: PlatformContext,
  query: BuildsQuery,
  options: ReadOptions,
): Promise<Page<BuildView>> {
  const { app, state } = query;
  if (app !== undefined) assertAppName(app);
  const index = app === undefined ? {} : { index: { name: "appName", value: app } };
  return pageOfKeys(query, async function* (after) {
    const from = after === null ? {} : { after };
    const list = { reverse: true, ...index, ...from, ...withSignal(options) };
    for await (const { value } of context.store.list("build", list)) {
      const view = viewOf(context, value);
      if (state === undefined || view.state === state) yield view;
    }
  });
}

/** What the builder said; empty while the build runs. `DINP_NOT_FOUND` when there is no such build. */
export async function getBuildLog(
  context: PlatformContext,
  name: string,
  id: string,
  options: ReadOptions,
): Promise<BuildLogView> {
  await getBuild(context, name, id, options);
  const log = await context.store.get("buildLog", id, withSignal(options));
  return { lines: log === null ? [] : shownLines(log.value) };
}

function viewOf(context: PlatformContext, build: Build): BuildView {
  return buildView(build, context.clock.now(), 2 * context.buildTimeoutMs);
}

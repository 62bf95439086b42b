import { DinpError } from "../model/errors.js";
import { assertAppName } from "../model/names.js";
import type { App } from "../model/records.js";
import { requireApp, requireCurrent } from "./app-records.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import type { AppPlanView } from "./plan-views.js";
import type { ChangePlanRequest } from "./requests.js";
import { assertInstances } from "./validate.js";

/**
 * What the platform would do first if an app were scaled, started, stopped or deleted. Writes nothing. An app without a
 * release has no instances to plan. `DINP_NOT_FOUND`, `DINP_INVALID`, `DINP_UNAVAILABLE` where no server leads.
 */
export async function planChange(
  context: PlatformContext,
  name: string,
  request: ChangePlanRequest,
  options: ReadOptions,
): Promise<AppPlanView> {
  assertAppName(name);
  const { store, clock } = context;
  const { value } = await requireApp(store, name, options);
  const app = changed(value, request, clock.now());
  const nothing = { app: name, actions: [], refused: [] };
  if (app.currentRelease === null) return nothing;
  const release = await requireCurrent(store, app, options);
  const { apps } = context.cluster().plan({ app, release });
  return apps.find((plan) => plan.app === name) ?? nothing;
}

function changed(app: App, { change, instances }: ChangePlanRequest, now: number): App {
  if (change !== "scale" && instances !== undefined)
    throw invalid("instances", "Only a change of the scale has a number of instances.");
  switch (change) {
    case "scale":
      if (instances === undefined) throw invalid("instances", "The number of instances is missing.");
      assertInstances(instances);
      return { ...app, instances };
    case "start":
      return { ...app, desired: "running" };
    case "stop":
      return { ...app, desired: "stopped" };
    case "delete":
      return { ...app, deletedAt: now };
  }
}

function invalid(field: string, message: string): DinpError {
  return new DinpError("DINP_INVALID", message, {
    hint: "Say `change` (scale, start, stop or delete), and `instances` with scale.",
    details: { field },
  });
}

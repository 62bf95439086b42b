import type { AppState, InstanceView, RolloutViewState } from "@dinp/core";
import type { JSX } from "preact";

type Tone = "good" | "busy" | "bad" | "off";

const appTones: Readonly<Record<AppState, Tone>> = {
  running: "good",
  deploying: "busy",
  starting: "busy",
  degraded: "bad",
  crashing: "bad",
  stopped: "off",
  stopping: "busy",
  deleting: "busy",
  empty: "off",
};

const rolloutTones: Readonly<Record<RolloutViewState, Tone>> = {
  pending: "busy",
  running: "busy",
  complete: "good",
  failed: "bad",
  superseded: "off",
};

/** What an app is doing. */
export function AppBadge({ state }: { readonly state: AppState }): JSX.Element {
  return <span class={`badge ${appTones[state]}`}>{state === "empty" ? "no release yet" : state}</span>;
}

/** How a release's rollout went. */
export function RolloutBadge({ state }: { readonly state: RolloutViewState }): JSX.Element {
  return <span class={`badge ${rolloutTones[state]}`}>{state === "running" ? "rolling out" : state}</span>;
}

/** What an instance is doing, and whether it is to go. */
export function InstanceBadge({ instance }: { readonly instance: InstanceView }): JSX.Element {
  const { phase, ready, desired } = instance;
  if (desired !== "running" && phase !== "exited")
    return <span class="badge busy">{desired === "draining" ? "draining" : "stopping"}</span>;
  if (phase === "running")
    return <span class={`badge ${ready ? "good" : "busy"}`}>{ready ? "ready" : "not ready"}</span>;
  return <span class={`badge ${phase === "exited" ? "off" : "busy"}`}>{phase}</span>;
}

import type { App, Placement, Setting, Token } from "../model/records.js";
import type { RecordTypes } from "../model/kinds.js";
import type { PutWrite } from "../ports/state-store.js";

export function sampleSetting(key: string, value = "value"): Setting {
  return { key, value };
}

export function sampleApp(id: string, fields: Partial<App> = {}): App {
  return {
    id,
    name: id,
    teamId: "team-1",
    desired: "running",
    instances: 1,
    currentRelease: null,
    createdAt: 1_700_000_000_000,
    deletedAt: null,
    ...fields,
  };
}

export function samplePlacement(instanceId: string, appId: string, nodeId: string): Placement {
  return {
    instanceId,
    appId,
    releaseId: "release-1",
    nodeId,
    desired: "running",
    reason: "",
    createdAt: 1,
    changedAt: 1,
  };
}

export function sampleToken(id: string, hash: string): Token {
  return { id, hash, subject: "someone", role: "admin", createdAt: 1 };
}

export function putSetting(
  key: string,
  value = "value",
  ifRevision?: number | "absent",
): PutWrite<"setting"> {
  const write = { op: "put", kind: "setting", value: sampleSetting(key, value) } as const;
  return ifRevision === undefined ? write : { ...write, ifRevision };
}

export function putApp(value: RecordTypes["app"], ifRevision?: number | "absent"): PutWrite<"app"> {
  const write = { op: "put", kind: "app", value } as const;
  return ifRevision === undefined ? write : { ...write, ifRevision };
}

export function putPlacement(value: Placement): PutWrite<"placement"> {
  return { op: "put", kind: "placement", value };
}

/** Numbers as text that sorts like them. */
export function padded(number: number): string {
  return String(number).padStart(6, "0");
}

import type { Kind, PreparedWrite } from "@dinp/core";

export type Put = Extract<PreparedWrite, { readonly op: "put" }>;

/** A write that changes something. */
export type Change = Extract<PreparedWrite, { readonly op: "put" | "delete" }>;

export function isPut(change: PreparedWrite): change is Put {
  return change.op === "put";
}

/** What tells a record from all others. */
export function idOf(of: { readonly kind: Kind; readonly key: string }): string {
  return `${of.kind} ${of.key}`;
}

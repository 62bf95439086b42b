import type { AppId } from "./records.js";

/** Which value of which secret a release's variable has. */
export interface SecretRef {
  /** The secret's name within the app: that of its variable. */
  readonly secret: string;
  readonly version: number;
}

/** One value of an app's secret. It never changes: another value is another version. Written by the platform only. */
export interface SecretVersion {
  readonly appId: AppId;
  readonly name: string;
  /** 1, 2, 3 … within the secret. */
  readonly version: number;
  /** Sealed by the platform's `SecretBox` for exactly this app, name and version. */
  readonly sealed: string;
  /** How long the value is, in UTF-8. */
  readonly bytes: number;
  readonly createdAt: number;
  readonly createdBy: string;
}

/** The key of a secret version's record. */
export function secretVersionKey(appId: AppId, name: string, version: number): string {
  return `${appId}/${name}/${String(version)}`;
}

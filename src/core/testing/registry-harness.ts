import assert from "node:assert/strict";
import type { Registry } from "../ports/registry.js";
import type { SuiteOptions } from "./conformance.js";

/** A registry that is empty and that only this case uses. */
export interface RegistryUnderTest {
  readonly registry: Registry;
  /** Changes one byte of a stored blob or manifest behind the registry's back. Without it the cases of damage are left out. */
  readonly damage?: (repository: string, digest: string) => Promise<void>;
  /** Makes a repository unreadable for the registry, for good. Without it the case of it is left out. */
  readonly cut?: (repository: string) => Promise<void>;
  readonly dispose: () => Promise<void>;
}

export interface RegistrySuiteOptions extends SuiteOptions {
  readonly create: () => Promise<RegistryUnderTest>;
  /** Whether `create` gives `damage`. Default false. */
  readonly damages?: boolean;
  /**
   * Whether writing a damaged blob again mends it; a registry may keep what it has under a digest. Default: `damages`.
   */
  readonly mends?: boolean;
  /** Whether `create` gives `cut`. Default false. */
  readonly cuts?: boolean;
}

/** Cases by name. */
export type RegistryCases = Readonly<
  Record<string, (registry: Registry, subject: RegistryUnderTest) => Promise<void>>
>;

/** What the options say that `create` gives; fails when it does not. */
export function able<What extends "damage" | "cut">(
  subject: RegistryUnderTest,
  what: What,
): NonNullable<RegistryUnderTest[What]> {
  const ability = subject[what];
  assert.ok(ability, `The registry under test has no \`${what}\`: give it, or do not say that it has.`);
  return ability;
}

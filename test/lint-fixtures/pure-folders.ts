// --- src/core/plan/a.ts breaks no-restricted-syntax (restrictedSyntax)
export async function wait(): Promise<void> {
  return Promise.resolve();
}

// --- src/core/routing/a.ts breaks no-restricted-syntax (restrictedSyntax)
export const wait = async () => Promise.resolve();

// --- src/core/probing/a.ts breaks no-restricted-syntax (restrictedSyntax)
export async function* wait(): AsyncGenerator<number> {
  yield 1;
}

// --- src/core/build/a.ts breaks no-restricted-syntax (restrictedSyntax)
export const one = await Promise.resolve(1);

// --- src/core/build/a.ts breaks no-restricted-syntax (restrictedSyntax)
export const all: number[] = [];
for await (const one of [Promise.resolve(1)]) all.push(one);

// --- src/core/plan/a.ts breaks no-restricted-syntax (restrictedSyntax)
import type { Clock } from "../ports/system.js";
export const read = (clock: Clock) => clock.now();

// --- src/core/plan/a.ts is legal
export const later = (now: number, ms: number): number => now + ms;

// --- src/core/loops/a.ts is legal
import type { Clock } from "../ports/system.js";
export async function wait(clock: Clock): Promise<void> {
  await clock.sleep(10);
}

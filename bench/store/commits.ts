import type { StateStore, Write } from "@dinp/core";
import { type BareDatabase, makeRows, openBare, updateOf } from "./bare.js";
import { type Load, measureLoad } from "./load.js";
import { openStore, type StoreName } from "./places.js";

/**
 * `plain`, `fenced`: commits of one record that is there already, each client's own · `limit`: one row's change and commit by
 * the driver alone, each client's own row · `one row`: the same row for all, as what counts revisions without holes must be.
 */
export const works = ["plain", "fenced", "limit", "one row"] as const;

export type Work = (typeof works)[number];

export interface CommitLoad extends Load {
  readonly work: Work;
}

/** Does each work for `forMs` in turns, `rounds` times. */
export async function measureCommits(
  name: StoreName,
  places: { readonly at: string; readonly bareAt: string },
  clients: number,
  { rounds, forMs }: { readonly rounds: number; readonly forMs: number },
): Promise<readonly (readonly CommitLoad[])[]> {
  const store = await openStore(name, places.at, clients);
  const bare = await openBare(name, places.bareAt, clients);
  try {
    await makeRows(bare, clients);
    const calls = await callsOf(store, bare);
    const results: CommitLoad[][] = [];
    for (let round = 0; round < rounds; round += 1) {
      const loads: CommitLoad[] = [];
      for (const work of works) {
        loads.push({ work, ...(await measureLoad(clients, forMs, calls[work])) });
      }
      results.push(loads);
    }
    return results;
  } finally {
    await store.close();
    await bare.close();
  }
}

async function callsOf(
  store: StateStore,
  bare: BareDatabase,
): Promise<Readonly<Record<Work, (client: number) => Promise<unknown>>>> {
  const lease = await store.tryAcquireLease({ name: "leader", holder: "bench", ttlMs: 600_000 });
  if (lease === null) throw new Error("The lease is another's.");
  const fencing = { lease: lease.name, epoch: lease.epoch };
  let count = 0;
  const write = (client: number): Write => placementOf(client, (count += 1));
  const text = (client: number): string => JSON.stringify(placementOf(client, (count += 1)).value);
  return {
    plain: (client) => store.commit([write(client)]),
    fenced: (client) => store.commit([write(client)], { fencing }),
    limit: (client) => bare.run(client, updateOf(client, text(client))),
    "one row": (client) => bare.run(client, updateOf(-1, text(client))),
  };
}

export function placementOf(number: number, changedAt: number): Extract<Write, { op: "put" }> {
  return {
    op: "put",
    kind: "placement",
    value: {
      instanceId: `i-${String(number).padStart(8, "0")}`,
      appId: `app-${String(number % 5_000)}`,
      releaseId: `app-${String(number % 5_000)}-7`,
      nodeId: `node-${String(number % 1_000)}`,
      desired: "running",
      reason: "one more instance was asked for",
      createdAt: 1_700_000_000_000,
      changedAt,
    },
  };
}

import { parseArgs } from "node:util";

/** How large the planned cluster is. */
export interface Sizes {
  readonly nodes: number;
  readonly apps: number;
  readonly instances: number;
}

const QUICK: Sizes = { nodes: 1_000, apps: 10_000, instances: 100_000 };
const FULL: Sizes = { nodes: 10_000, apps: 100_000, instances: 1_000_000 };

/** `--full`, or `--nodes N --apps N --instances N`; by default a tenth of the full size. */
export function sizesOf(argv: readonly string[]): Sizes {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      check: { type: "boolean" },
      full: { type: "boolean" },
      nodes: { type: "string" },
      apps: { type: "string" },
      instances: { type: "string" },
    },
  });
  const base = values.full === true ? FULL : QUICK;
  return {
    nodes: sizeOf("nodes", values.nodes, base.nodes),
    apps: sizeOf("apps", values.apps, base.apps),
    instances: sizeOf("instances", values.instances, base.instances),
  };
}

function sizeOf(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const size = Number(text);
  if (Number.isSafeInteger(size) && size > 0) return size;
  throw new TypeError(`--${name} must be a whole number above 0; got ${JSON.stringify(text)}.`);
}

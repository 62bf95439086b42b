import { describe, it } from "vitest";
import { serviceVariables } from "../../scripts/lib/services/variables.mjs";

export type ServiceName = keyof typeof serviceVariables;

/** Where services are: each of their variables. */
export type ServicePlaces<Name extends ServiceName> = Readonly<
  Record<(typeof serviceVariables)[Name][number], string>
>;

/**
 * A `describe` whose tests need real servers (`scripts/services up` starts them). On a machine without them its tests are
 * left out, with a line that says so; in CI that is a failure.
 */
export function describeWithServices<Name extends ServiceName>(
  names: readonly Name[],
  title: string,
  body: (places: ServicePlaces<Name>) => void,
): void {
  const wanted: readonly string[] = names.flatMap((name): readonly string[] => serviceVariables[name]);
  const places = Object.fromEntries(wanted.map((name) => [name, process.env[name] ?? ""]));
  const lacking = wanted.filter((name) => places[name] === "");
  if (hasAll<Name>(places, lacking)) {
    describe(title, () => {
      body(places);
    });
    return;
  }
  const reason = `needs ${names.join(" and ")}: scripts/services up`;
  if (process.env["CI"] !== undefined && process.env["CI"] !== "") {
    throw new Error(`"${title}" ${reason} (not set: ${lacking.join(", ")}).`);
  }
  process.stderr.write(`Left out: ${title} (${reason})\n`);
  describe.skip(title, () => {
    it(reason, () => {});
  });
}

function hasAll<Name extends ServiceName>(
  places: Readonly<Record<string, string>>,
  lacking: readonly string[],
): places is ServicePlaces<Name> {
  return lacking.length === 0;
}

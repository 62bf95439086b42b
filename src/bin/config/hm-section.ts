import { duration, integer, optional, textLike, type Settings } from "./setting.js";

/** An outside health monitor's own. */
export const hmSection = {
  id: optional(
    textLike(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "1 to 64 of letters, digits, '.', '_' and '-'", {
      doc: "this monitor's name among all monitors; of two with the same one, one stands by. Default: the machine's name",
    }),
  ),
  intervalMin: duration(
    { minMs: 100, maxMs: 3_600_000 },
    { doc: "instances are probed as often as their releases say, but not more often", default: "5s" },
  ),
  intervalMax: duration({ minMs: 100, maxMs: 3_600_000 }, { doc: "and not more seldom", default: "15s" }),
  failures: integer(
    { min: 1, max: 1_000 },
    { doc: "probes in a row that fail before an instance is withdrawn", default: "3" },
  ),
  successes: integer(
    { min: 1, max: 1_000 },
    { doc: "probes in a row that succeed before it is given back", default: "2" },
  ),
  calm: duration(
    { minMs: 0, maxMs: 3_600_000 },
    {
      doc: "how long most probes must succeed before it judges again after most have failed",
      default: "30s",
    },
  ),
  lease: duration(
    { minMs: 1_000, maxMs: 600_000 },
    { doc: "how long its withdrawals outlive it when it dies", default: "15s" },
  ),
  concurrency: integer({ min: 1, max: 10_000 }, { doc: "probes at the same time", default: "64" }),
} as const satisfies Settings[string];

import { DinpError, type StateStore } from "@dinp/core";
import type { RuntimeKind } from "@dinp/core/cli";
import { settle } from "../host/settle.js";

const kinds: readonly RuntimeKind[] = ["process", "docker"];

/**
 * The runtime is chosen at the first start (`wanted`, else plain processes) and never switches by itself: `DINP_INVALID`
 * for another one later.
 */
export async function settleRuntime(store: StateStore, wanted: RuntimeKind | null): Promise<RuntimeKind> {
  const settled = await settle(store, "runtime", wanted ?? "process");
  const known = kinds.find((kind) => kind === settled);
  if (known !== undefined && (wanted === null || wanted === known)) return known;
  throw new DinpError(
    "DINP_INVALID",
    known === undefined
      ? `This data folder was made with the runtime ${settled}, which is not here.`
      : `This data folder was made with --runtime ${known}, and its instances with it.`,
    {
      hint:
        known === undefined
          ? "Use the version of the platform that made it, or another folder (--data)."
          : `Leave --runtime away to go on with it, or name another folder (--data) to start anew with ${wanted ?? ""}.`,
    },
  );
}

import type { CrashRecord } from "../model/records.js";
import type { AdoptAction, ForgetAction, MoveAction, PlaceAction, Refusal } from "./plan.js";

/** What an app's plan is made of, as it is made. */
export interface Draft {
  readonly place: PlaceAction[];
  readonly move: MoveAction[];
  readonly forget: ForgetAction[];
  readonly adopt: AdoptAction[];
  readonly crashes: CrashRecord[];
  readonly refused: Refusal[];
}

import type { LocalState } from "../ports/system.js";

const KEY = "registration";

/** What a router keeps of its registration over its own end. */
export interface RegistrationMark {
  readonly routerId: string;
  readonly clusterId: string;
  /** Tells this registration from one after it was forgotten. */
  readonly registeredAt: number;
  /** When the platform last said so, in milliseconds since the Unix epoch. */
  readonly confirmedAt: number;
}

/** The mark of this router in this cluster; null when there is none, also of another one or damaged. */
export async function readMark(
  state: LocalState,
  { routerId, clusterId }: Pick<RegistrationMark, "routerId" | "clusterId">,
): Promise<RegistrationMark | null> {
  const mark = parse(await state.read(KEY));
  return mark?.routerId === routerId && mark.clusterId === clusterId ? mark : null;
}

export async function writeMark(state: LocalState, mark: RegistrationMark): Promise<void> {
  await state.write(KEY, JSON.stringify(mark));
}

function parse(text: string | null): RegistrationMark | null {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    return isMark(value) ? value : null;
  } catch {
    return null;
  }
}

function isMark(value: unknown): value is RegistrationMark {
  if (typeof value !== "object" || value === null) return false;
  const { routerId, clusterId, registeredAt, confirmedAt } = value as Partial<RegistrationMark>;
  const areTexts = typeof routerId === "string" && typeof clusterId === "string";
  return areTexts && Number.isSafeInteger(registeredAt) && Number.isSafeInteger(confirmedAt);
}

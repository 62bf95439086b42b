import { isDinpError, messageOf } from "../model/errors.js";
import type { ReleaseId } from "../model/records.js";
import { openSecrets } from "../platform/secrets.js";
import type { SealingContext } from "../platform/sealing.js";
import type { Assignment } from "../ports/control-link.js";
import type { Logger } from "../ports/system.js";

/** What came of opening a release's secrets; null: nothing can be said yet. */
type Opened = Pick<Assignment, "secrets" | "unstartable"> | null;

/** Assignments as they can be sent, and those to be completed later, because the store does not answer. */
export interface CompletedAssignments {
  readonly complete: readonly Assignment[];
  readonly postponed: readonly Assignment[];
}

/** True of an instance that is still to be started with secrets; to others they would be told for nothing. */
export function needsSecrets({ placement, release, lastStatus }: Assignment): boolean {
  if (release.secrets === undefined || placement.desired !== "running") return false;
  return lastStatus === null || lastStatus.phase === "starting";
}

/**
 * Puts the opened secrets of their releases into assignments that need them. Secrets that cannot be opened keep just these
 * instances from being started.
 */
export async function completeAssignments(
  context: SealingContext & { readonly logger: Logger },
  assignments: readonly Assignment[],
  signal: AbortSignal,
): Promise<CompletedAssignments> {
  const byRelease = new Map<ReleaseId, Opened>();
  const complete: Assignment[] = [];
  const postponed: Assignment[] = [];
  for (const assignment of assignments) {
    const { id } = assignment.release;
    const opened = byRelease.has(id) ? byRelease.get(id) : await open(context, assignment, signal);
    byRelease.set(id, opened ?? null);
    if (opened == null) postponed.push(assignment);
    else complete.push({ ...assignment, ...opened });
  }
  return { complete, postponed };
}

async function open(
  context: SealingContext & { readonly logger: Logger },
  { release, appName }: Assignment,
  signal: AbortSignal,
): Promise<Opened> {
  try {
    return { secrets: await openSecrets(context, release, { signal }) };
  } catch (error) {
    const about = { app: appName, release: release.number, error: messageOf(error) };
    if (isDinpError(error) && (error.retryable || error.code === "DINP_ABORTED")) {
      context.logger.debug("secrets cannot be read yet", about);
      return null;
    }
    context.logger.warn("secrets of a release cannot be opened: its instances do not start", about);
    return { unstartable: messageOf(error) };
  }
}

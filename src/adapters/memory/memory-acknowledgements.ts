import {
  DinpError,
  formatTableVersion,
  isSameTableVersion,
  type RouterAcknowledgement,
  type RouteTableVersion,
} from "@dinp/core";

const ROUTERS_MAX = 10_000;

/** The newest acknowledgement of each router. */
export class MemoryAcknowledgements {
  readonly #byRouter = new Map<string, RouterAcknowledgement>();

  all(): readonly RouterAcknowledgement[] {
    return [...this.#byRouter.values()];
  }

  /** True when it changed something. `next` is kept as it is; `table` is the version that the table is at. */
  record(next: RouterAcknowledgement, table: RouteTableVersion): boolean {
    if (next.version.incarnation === table.incarnation && isNewer(next.version, table)) {
      throw new DinpError(
        "DINP_ROUTE_VERSION",
        `Router ${next.routerId} acknowledged ${formatTableVersion(next.version)}, which the table never had.`,
        { hint: "Read the table again.", details: { routerId: next.routerId } },
      );
    }
    const last = this.#byRouter.get(next.routerId);
    if (last === undefined) this.#assertRoom();
    else if (isOlder(next.version, last.version, table.incarnation) || isSame(last, next)) return false;
    this.#byRouter.set(next.routerId, next);
    return true;
  }

  #assertRoom(): void {
    if (this.#byRouter.size < ROUTERS_MAX) return;
    throw new DinpError(
      "DINP_UNAVAILABLE",
      `The table already keeps acknowledgements of ${String(ROUTERS_MAX)} routers.`,
      { hint: "Give each router an id that it keeps across restarts." },
    );
  }
}

/** Of two incarnations the table's own is the newer one; of two others, the one that comes later. */
function isOlder(next: RouteTableVersion, last: RouteTableVersion, incarnation: string): boolean {
  if (next.incarnation === last.incarnation) return isNewer(last, next);
  return last.incarnation === incarnation;
}

function isNewer(left: RouteTableVersion, right: RouteTableVersion): boolean {
  return left.epoch > right.epoch || (left.epoch === right.epoch && left.revision > right.revision);
}

function isSame(left: RouterAcknowledgement, right: RouterAcknowledgement): boolean {
  return (
    isSameTableVersion(left.version, right.version) &&
    left.busy.length === right.busy.length &&
    left.busy.every((instanceId, index) => instanceId === right.busy[index])
  );
}

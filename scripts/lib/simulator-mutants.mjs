/**
 * Rules of the platform, each broken by one edit of its source. The simulator must find every one within 200 seeds.
 * `find` stands exactly once in the file; `invariants`: those that may be the first to notice; the first of them is the
 * one that the rule keeps.
 *
 * @typedef {"plan" | "loop" | "agent" | "router" | "platform"} Place
 * @typedef {{ name: string, place: Place, file: string, find: string, replace: string, invariants: readonly string[] }} SourceMutant
 */

/** @type {readonly Place[]} */
export const places = ["plan", "loop", "agent", "router", "platform"];

const writes = "acknowledged-writes-are-kept";
const once = "an-instance-id-runs-once";
const fresh = "no-stop-from-an-unfresh-read";
const request = "no-request-to-another-app";
const port = "a-port-waits-for-all-routers";
const drain = "a-drain-precedes-the-stop";
const minimum = "an-app-keeps-its-minimum";
const fixpoint = "a-fixpoint-follows-the-faults";

const plan = "src/core/plan/app-plan.ts";
const retire = "src/core/plan/retire.ts";
const rollout = "src/core/plan/rollout.ts";
const planWrites = "src/core/loops/plan-writes.ts";
const reconciler = "src/core/loops/reconciler.ts";
const publisher = "src/core/loops/route-publisher.ts";
const nodeSession = "src/core/loops/node-session.ts";
const instance = "src/core/loops/agent-instance.ts";
const follower = "src/core/loops/route-follower.ts";

/** @type {readonly SourceMutant[]} */
export const sourceMutants = [
  {
    name: "an app of which nothing runs is removed",
    place: "plan",
    file: plan,
    find: "remove: app.deletedAt !== null && context.facts.fresh && hasNothingLeft(instances),",
    replace: "remove: context.facts.fresh && hasNothingLeft(instances),",
    invariants: [writes],
  },
  {
    name: "a scaling writes what it read, whatever happened since",
    place: "platform",
    file: "src/core/platform/apps.ts",
    find: `writes: [{ op: "put", kind: "app", value: app, ifRevision: stored.revision }],
      events: [{ type: "app.scaled"`,
    replace: `writes: [{ op: "put", kind: "app", value: app }],
      events: [{ type: "app.scaled"`,
    invariants: [writes],
  },
  {
    name: "what has run and was lost is started again",
    place: "agent",
    file: instance,
    find: `if (last === null || last.phase === "starting") {`,
    replace: `if (last === null || last.phase !== "exited") {`,
    invariants: [once],
  },
  {
    name: "every node is sent every placement",
    place: "loop",
    file: nodeSession,
    find: "if (placement?.nodeId !== this.session.hello.nodeId) return null;",
    replace: "if (placement === undefined) return null;",
    invariants: [once],
  },
  {
    name: "an agent is told what to start before its earlier reports are seen",
    place: "loop",
    file: nodeSession,
    find: "await this.#catchUp(signal);",
    replace: "",
    invariants: [once],
  },
  {
    name: "the view counts as fresh after its watch broke",
    place: "loop",
    file: "src/core/loops/state-follower.ts",
    find: `    } finally {
      this.#fresh = false;
    }`,
    replace: `    } finally {
      this.#tell([]);
    }`,
    invariants: [fresh],
  },
  {
    name: "what the server has not named is stopped",
    place: "agent",
    file: instance,
    find: `const desired = this.#assignment?.placement.desired ?? "running";`,
    replace: `const desired = this.#assignment?.placement.desired ?? "stopped";`,
    invariants: [fresh],
  },
  {
    name: "acknowledgements of older tables count",
    place: "loop",
    file: publisher,
    find: "if (said === undefined || !isAtLeast(said.version, since)) return false;",
    replace: "if (said === undefined) return false;",
    invariants: [port, request, drain],
  },
  {
    name: "a port that is held is given out again",
    place: "agent",
    file: "src/core/loops/instance-ports.ts",
    find: "if (this.#held.has(candidate) || !(await isFree(candidate))) continue;",
    replace: "if (!(await isFree(candidate))) continue;",
    invariants: [port, request],
  },
  {
    name: "what has ended is forgotten before the routers let go",
    place: "plan",
    file: plan,
    find: "if (context.facts.isUnrouted(instanceId)) return true;",
    replace: "if (context.facts.leaderSince > 0) return true;",
    invariants: [port, request],
  },
  {
    name: "what is withdrawn stays",
    place: "router",
    file: follower,
    find: "this.#index.apply(event.changes);",
    replace: `this.#index.apply(event.changes.filter((change) => change.op === "put"));`,
    invariants: [port, request, drain, fixpoint],
  },
  {
    name: "a host without a route goes to whoever has one",
    place: "router",
    file: "src/core/routing/route-index.ts",
    find: "return routes === undefined ? null : findByPath(routes, path);",
    replace: `for (const other of routes === undefined ? this.#hosts.values() : [routes]) return findByPath(other, path);
    return null;`,
    invariants: [request],
  },
  {
    name: "a drain ends at once",
    place: "plan",
    file: plan,
    find: "} else if (context.facts.isDrained(placement.instanceId)) {",
    replace: "} else if (context.facts.leaderSince > 0) {",
    invariants: [drain],
  },
  {
    name: "requests in flight do not hold a drain up",
    place: "loop",
    file: publisher,
    find: "this.isUnrouted(instanceId) && ![...this.#acknowledged.values()].some(({ busy }) => busy.has(instanceId));",
    replace: "this.isUnrouted(instanceId);",
    invariants: [drain],
  },
  {
    name: "what drains is stopped",
    place: "agent",
    file: instance,
    find: `else if (desired === "stopped" || this.#startupFailure !== null) await this.#stop(signal);`,
    replace: `else if (desired !== "running" || this.#startupFailure !== null) await this.#stop(signal);`,
    invariants: [drain],
  },
  {
    name: "requests in flight are not told of",
    place: "router",
    file: follower,
    find: "const busy = this.#inFlight.instances((instanceId) => !this.#index.hasInstance(instanceId));",
    replace: "const busy: string[] = [];",
    invariants: [drain],
  },
  {
    name: "what only records know leaves as one too many while it may be needed",
    place: "plan",
    file: retire,
    find: "const mayLeave = countReady(known) >= app.instances ? own : known;",
    replace: "const mayLeave = own;",
    invariants: [minimum],
  },
  {
    name: "old ones leave before nodes have told which of them are left",
    place: "plan",
    file: retire,
    find: "const mayLeave = isEnough || !readyOthers.some((instance) => isAwaited(instance, context));",
    replace: "const mayLeave = true;",
    invariants: [minimum],
  },
  {
    name: "old instances leave before the new ones are ready",
    place: "plan",
    file: plan,
    find: "const spare = readyOwn + readyOthers.length - app.instances;",
    replace: "const spare = own.length + readyOthers.length - app.instances;",
    invariants: [minimum],
  },
  {
    name: "a stop is committed whatever became of those that make up for it",
    place: "loop",
    file: planWrites,
    find: "writes.push(...verdicts(plan, view));",
    replace: "",
    invariants: [minimum, drain],
  },
  {
    name: "the rest of a plan is committed although it was overtaken",
    place: "loop",
    file: reconciler,
    find: "if (this.#overtaken.has(app.app.id)) isDone = false;",
    replace: "if (this.#overtaken.size < 0) isDone = false;",
    invariants: [minimum, writes, drain],
  },
  {
    name: "what was started is ready",
    place: "agent",
    file: instance,
    find: `{ phase: "running", endpoint, startedAt, reason: "started, not ready yet" }`,
    replace: `{ phase: "running", endpoint, startedAt, reason: "started", ready: true, readyAt: clock.now() }`,
    invariants: [minimum],
  },
  {
    name: "what has failed is never tried again",
    place: "plan",
    file: plan,
    find: "if (context.now < nextAt) {",
    replace: "if (context.now < Infinity) {",
    invariants: [fixpoint],
  },
  {
    name: "a rollout that has reached everybody does not end",
    place: "plan",
    file: rollout,
    find: "if (ready >= app.instances && others === 0) {",
    replace: "if (ready > app.instances && others === 0) {",
    invariants: [fixpoint],
  },
  {
    name: "a route table that was written by another is not read again",
    place: "loop",
    file: publisher,
    find: `        this.#version = null;
        this.#dirty = null;
        throw error;`,
    replace: "        throw error;",
    invariants: [fixpoint, request],
  },
  {
    name: "a route table that lost its past is left as it is",
    place: "loop",
    file: publisher,
    find: `if (event.type === "changes") continue;`,
    replace: "continue;",
    invariants: [fixpoint],
  },
  {
    name: "a step that failed is not tried again",
    place: "agent",
    file: instance,
    find: "        await backoff.pause(signal);",
    replace: "        return;",
    invariants: [fixpoint],
  },
  {
    name: "a table that cannot be followed is given up",
    place: "router",
    file: follower,
    find: "if (this.#clock.monotonicMs() - since >= STEADY_MS) backoff.succeeded();",
    replace: "return;",
    invariants: [fixpoint, request, port, drain],
  },
];

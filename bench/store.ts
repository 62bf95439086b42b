// npm run bench:store [-- --rounds N] [--only STORE] [--check]
import { roundsOf, runAgain } from "./lib/again.js";
import { type Goal, median, type Recorder, runBench } from "./lib/bench.js";
import type { Measured } from "./lib/cost.js";
import { type CommitLoad, measureCommits, type Work } from "./store/commits.js";
import { makePlace, type Place, type StoreName, storeNames, variables } from "./store/places.js";
import { countTrips } from "./store/trips.js";
import { fill, measureSelect, measureSnapshot } from "./store/snapshots.js";

const PLACEMENTS = 100_000;
const FOR_MS = 1_500;
const MB = 1e6;
const clientCounts = [1, 16] as const;

const argv = process.argv.slice(2);
const [role = "", name = "", at = "", bareAt = "", clients = "", rounds = ""] = argv;

switch (role) {
  case "commits":
    print(
      await measureCommits(storeOf(name), { at, bareAt }, Number(clients), {
        rounds: Number(rounds),
        forMs: FOR_MS,
      }),
    );
    break;
  case "fill":
    print(await fill(storeOf(name), at, PLACEMENTS));
    break;
  case "snapshot":
    print(await measureSnapshot(storeOf(name), at));
    break;
  case "select":
    print(await measureSelect(storeOf(name), at));
    break;
  default:
    await runBench(
      {
        name: "store",
        title:
          "Commits to each store and snapshots of it, against the same database by its driver alone with as many clients",
        goals: goals(),
        run,
      },
      argv,
    );
}

/**
 * A commit reads before it writes, so it takes two trips: its rate is to be at least a third of that of one statement by itself. Its
 * snapshot makes records of what it reads, which a bare SELECT does not: twice its time and memory.
 */
function goals(): Readonly<Record<string, Goal>> {
  return Object.fromEntries(
    chosenStores().flatMap((store): [string, Goal][] => [
      ...(variables[store] === undefined
        ? []
        : ([
            [`${store}, plain: trips to the server`, { atMost: 2 }],
            [`${store}, fenced: trips to the server`, { atMost: 2 }],
            [`${store}, 1 client, plain: rate over the limit's`, { atLeast: 0.33 }],
            [`${store}, 1 client, fenced: rate over the limit's`, { atLeast: 0.33 }],
          ] as [string, Goal][])),
      ...(store === "memory"
        ? []
        : ([
            [`${store}, snapshot: time over the limit's`, { atMost: 2 }],
            [`${store}, snapshot: memory over the limit's`, { atMost: 2 }],
          ] as [string, Goal][])),
    ]),
  );
}

function chosenStores(): readonly StoreName[] {
  return argv.includes("--only") ? [storeOf(argv[argv.indexOf("--only") + 1] ?? "")] : storeNames;
}

async function run(recorder: Recorder): Promise<void> {
  recorder.note("commits: one placement that is there already is changed, each client its own");
  recorder.note(
    "limit: one row is changed and committed by the bare driver in one trip, each client its own",
  );
  recorder.note("one row: the same, but one row for all clients, as a counter without holes must be");
  for (const store of chosenStores()) {
    const place = await makePlace(store);
    if (place === null) {
      recorder.note(
        `left out: ${store} (${variables[store] ?? ""} is not set: scripts/services up ${store})`,
      );
      continue;
    }
    try {
      if (variables[store] !== undefined) await recordTrips(recorder, store, place);
      for (const count of clientCounts) recordCommits(recorder, store, place, count);
      if (store !== "memory") recordSnapshot(recorder, store, place);
    } finally {
      await place.remove();
    }
  }
}

async function recordTrips(recorder: Recorder, store: StoreName, place: Place): Promise<void> {
  const trips = await countTrips(store, place.at);
  for (const work of ["plain", "fenced"] as const)
    recorder.measure(`${store}, ${work}: trips to the server`, trips[work], "");
}

function recordCommits(recorder: Recorder, store: StoreName, place: Place, count: number): void {
  const words = [store, place.at, place.bareAt, String(count), String(roundsOf(argv, 3))];
  const results: readonly (readonly CommitLoad[])[] = JSON.parse(runAgain("commits", ...words));
  const what = `${store}, ${String(count)} ${count === 1 ? "client" : "clients"}`;
  const of = (work: Work, key: keyof CommitLoad): readonly number[] =>
    results.map((loads) => Number(loads.find((load) => load.work === work)?.[key] ?? NaN));
  const ratio = (work: Work, limit: Work): number =>
    median(of(work, "perSecond").map((value, round) => value / (of(limit, "perSecond")[round] ?? NaN)));
  for (const work of ["plain", "fenced"] as const) {
    recorder.measure(`${what}, ${work}: rate over the limit's`, ratio(work, "limit"), "x");
    if (count > 1) recorder.measure(`${what}, ${work}: rate over one row's`, ratio(work, "one row"), "x");
  }
  for (const work of ["plain", "fenced", "limit", ...(count > 1 ? (["one row"] as const) : [])] as const) {
    recorder.measure(`${what}, ${work}: commits`, median(of(work, "perSecond")), "/s");
    recorder.measure(`${what}, ${work}: p99`, median(of(work, "p99Ms")), "ms");
    recorder.measure(`${what}, ${work}: processor time here`, median(of(work, "cpuMsPerCall")), "ms");
  }
}

function recordSnapshot(recorder: Recorder, store: StoreName, place: Place): void {
  const fillMs = Number(runAgain("fill", store, place.at));
  recorder.measure(`${store}: committing ${String(PLACEMENTS)} new placements, 1000 at once`, fillMs, "ms");
  const snapshot: Measured<number> = JSON.parse(runAgain("snapshot", store, place.at));
  const select: Measured<number> = JSON.parse(runAgain("select", store, place.at));
  if (snapshot.value < PLACEMENTS || select.value < PLACEMENTS) throw new Error("Records are missing.");
  const growth = ({ cost }: Measured<number>): number => (cost.peakBytes - cost.startBytes) / MB;
  recorder.measure(
    `${store}, snapshot: time over the limit's`,
    snapshot.cost.wallMs / select.cost.wallMs,
    "x",
  );
  recorder.measure(`${store}, snapshot: memory over the limit's`, growth(snapshot) / growth(select), "x");
  recorder.measure(`${store}, snapshot: time`, snapshot.cost.wallMs, "ms");
  recorder.measure(`${store}, snapshot: memory`, growth(snapshot), "MB");
}

function storeOf(word: string): StoreName {
  const found = storeNames.find((known) => known === word);
  if (found === undefined)
    throw new Error(`There is no store ${JSON.stringify(word)}: ${storeNames.join(", ")}.`);
  return found;
}

function print(value: unknown): void {
  process.stdout.write(JSON.stringify(value));
}

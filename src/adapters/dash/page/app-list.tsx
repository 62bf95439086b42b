import type { AppDetail, AppView } from "@dinp/core";
import type { JSX } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import { client } from "./api.js";
import { Connection } from "./connection.js";
import { DeployForm } from "./deploy-form.js";
import { hrefOf } from "./place.js";
import { usePolled } from "./polling.js";
import { AppBadge } from "./state-badge.js";
import { amount, isTroubled, plain, problemOf } from "./text.js";

const PAGE = 50;
/** So many apps in trouble are asked what it is, each time. */
const EXPLAINED_MAX = 20;

interface Row {
  readonly app: AppView;
  readonly problem: string | null;
}

interface Rows {
  readonly rows: readonly Row[];
  readonly hasMore: boolean;
}

/** All apps, and the form for another one. */
export function AppList(): JSX.Element {
  const [prefix, setPrefix] = useState("");
  const [limit, setLimit] = useState(PAGE);
  const [isDeploying, setDeploying] = useState(false);
  const load = useCallback((signal: AbortSignal) => loadRows(prefix, limit, signal), [prefix, limit]);
  const apps = usePolled(load);
  useEffect(() => {
    document.title = "Apps – DINP";
  }, []);
  const isEmpty = apps.value?.rows.length === 0 && prefix === "";
  return (
    <>
      <div class="title">
        <h1>Apps</h1>
        <input
          {...{ type: "search", placeholder: "Name begins with …", "aria-label": "Name begins with" }}
          value={prefix}
          onInput={(event) => {
            setPrefix(event.currentTarget.value.trim().toLowerCase());
          }}
        />
        <button
          type="button"
          aria-expanded={isDeploying || isEmpty}
          onClick={() => {
            setDeploying(!isDeploying);
          }}
        >
          Deploy an app
        </button>
      </div>
      <Connection {...apps} />
      {(isDeploying || isEmpty) && (
        <section aria-labelledby="deploy-title">
          <h2 id="deploy-title">Deploy an app</h2>
          <DeployForm
            app={null}
            onReleased={(name) => {
              location.hash = hrefOf(name);
            }}
          />
        </section>
      )}
      {apps.value === null && apps.error === null && <p>Loading …</p>}
      {isEmpty && <p class="quiet">There are no apps yet. Deploy the first one above.</p>}
      {apps.value !== null && !isEmpty && <AppTable {...apps.value} />}
      {apps.value?.hasMore === true && (
        <button
          type="button"
          class="plain"
          onClick={() => {
            setLimit(limit + PAGE);
          }}
        >
          Show more
        </button>
      )}
    </>
  );
}

function AppTable({ rows }: Rows): JSX.Element {
  if (rows.length === 0) return <p class="quiet">No app's name begins so.</p>;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">App</th>
          <th scope="col">State</th>
          <th scope="col">Instances</th>
          <th scope="col">Release</th>
          <th scope="col">Last problem</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ app, problem }) => (
          <tr key={app.name}>
            <th scope="row">
              <a href={hrefOf(app.name)}>{app.name}</a>
            </th>
            <td data-label="State">
              <AppBadge state={app.state} />
            </td>
            <td data-label="Instances">{readyOf(app)}</td>
            <td data-label="Release">{app.release ?? "–"}</td>
            <td data-label="Last problem" class={problem === null ? "none" : "problem"}>
              {problem === null ? "–" : plain(problem)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** `2 of 3 ready`. */
export function readyOf({ ready, instances, desired }: AppView): string {
  if (desired === "stopped") return `${amount(instances, "instance")} when started`;
  return `${String(ready)} of ${String(instances)} ready`;
}

async function loadRows(prefix: string, limit: number, signal: AbortSignal): Promise<Rows> {
  const apps: AppView[] = [];
  let next: string | null = null;
  do {
    const query = {
      limit: PAGE,
      ...(prefix === "" ? {} : { prefix }),
      ...(next === null ? {} : { cursor: next }),
    };
    const page: Awaited<ReturnType<typeof client.pageApps>> = await client.pageApps(query, { signal });
    apps.push(...page.items);
    next = page.next;
  } while (next !== null && apps.length < limit);
  const troubled = apps.filter(({ state }) => isTroubled(state)).slice(0, EXPLAINED_MAX);
  const details = await Promise.all(troubled.map(({ name }) => detailOf(name, signal)));
  const problems = new Map(
    details.map((detail) => [detail?.name, detail === null ? null : problemOf(detail)]),
  );
  return {
    rows: apps.map((app) => ({ app, problem: problems.get(app.name) ?? null })),
    hasMore: next !== null,
  };
}

/** Null when it is gone by now. */
function detailOf(name: string, signal: AbortSignal): Promise<AppDetail | null> {
  return client.getApp(name, { signal }).catch(() => null);
}

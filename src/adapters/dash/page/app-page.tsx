import type { AppDetail, ReleaseView } from "@dinp/core";
import type { JSX } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { client } from "./api.js";
import { AppActions } from "./app-actions.js";
import { AppFacts } from "./app-facts.js";
import { AppTrouble } from "./app-trouble.js";
import { Connection } from "./connection.js";
import { DeployForm } from "./deploy-form.js";
import { InstanceTable } from "./instance-table.js";
import { AppLog } from "./app-log.js";
import { usePolled } from "./polling.js";
import { ReleaseTable } from "./release-table.js";
import { AppBadge } from "./state-badge.js";

const RELEASES_SHOWN = 20;

interface Shown {
  readonly app: AppDetail;
  readonly releases: readonly ReleaseView[];
}

/** One app: what it is doing, and what can be done with it. */
export function AppPage({ name }: { readonly name: string }): JSX.Element {
  const load = useCallback((signal: AbortSignal) => loadApp(name, signal), [name]);
  const shown = usePolled(load);
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${name} – DINP`;
    title.current?.focus();
  }, [name]);
  const { value } = shown;
  return (
    <>
      <nav aria-label="Where you are">
        <a href="#/">Apps</a>
      </nav>
      <div class="title">
        <h1 ref={title} tabIndex={-1}>
          {name}
        </h1>
        {value !== null && <AppBadge state={value.app.state} />}
      </div>
      <Connection {...shown} />
      {value === null && shown.error === null && <p>Loading …</p>}
      {value !== null && <AppSections {...value} onChanged={shown.refresh} />}
    </>
  );
}

function AppSections({ app, releases, onChanged }: Shown & { readonly onChanged: () => void }): JSX.Element {
  const [isDeploying, setDeploying] = useState(false);
  return (
    <>
      <AppTrouble app={app} />
      <AppFacts app={app} />
      <AppActions app={app} onChanged={onChanged}>
        <button
          type="button"
          aria-expanded={isDeploying}
          onClick={() => {
            setDeploying(!isDeploying);
          }}
        >
          Deploy
        </button>
      </AppActions>
      {isDeploying && (
        <section aria-labelledby="deploy-title">
          <h2 id="deploy-title">Deploy a new release</h2>
          <DeployForm app={app.name} onReleased={onChanged} />
        </section>
      )}
      <section aria-labelledby="instances-title">
        <h2 id="instances-title">Instances</h2>
        <InstanceTable instances={app.instanceList} />
      </section>
      <section aria-labelledby="releases-title">
        <h2 id="releases-title">History</h2>
        <ReleaseTable app={app.name} releases={releases} onChanged={onChanged} />
      </section>
      <section aria-labelledby="log-title">
        <h2 id="log-title">Log</h2>
        <AppLog app={app.name} />
      </section>
    </>
  );
}

async function loadApp(name: string, signal: AbortSignal): Promise<Shown> {
  const [app, releases] = await Promise.all([
    client.getApp(name, { signal }),
    client.pageReleases(name, { limit: RELEASES_SHOWN }, { signal }),
  ]);
  return { app, releases: releases.items };
}

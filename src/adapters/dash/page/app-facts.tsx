import type { AppDetail } from "@dinp/core";
import type { JSX } from "preact";
import { readyOf } from "./app-list.js";
import { shortDigest } from "./text.js";

/** Where the app answers, and what runs. */
export function AppFacts({ app }: { readonly app: AppDetail }): JSX.Element {
  return (
    <dl class="facts">
      <div>
        <dt>Instances</dt>
        <dd>{readyOf(app)}</dd>
      </div>
      <div>
        <dt>Release</dt>
        <dd>{app.release ?? "none"}</dd>
      </div>
      {app.digest !== null && (
        <div>
          <dt>Image</dt>
          <dd>
            <code title={app.digest}>{shortDigest(app.digest)}</code>
            {app.template !== null && ` (${app.template})`}
          </dd>
        </div>
      )}
      <div>
        <dt>Each instance</dt>
        <dd>
          {app.memoryMb} MB, {app.cpuMillis / 1_000} CPU
        </dd>
      </div>
      <div class="wide">
        <dt>Answers at</dt>
        <dd>
          <ul class="urls">
            {app.urls.map((url) => (
              <li key={url}>
                <Address url={url} />
              </li>
            ))}
          </ul>
        </dd>
      </div>
    </dl>
  );
}

/** A link for what is an address of the web; anything else is text. */
function Address({ url }: { readonly url: string }): JSX.Element {
  if (!/^https?:\/\//.test(url)) return <>{url}</>;
  return (
    <a href={url} target="_blank" rel="noopener noreferrer">
      {url}
    </a>
  );
}

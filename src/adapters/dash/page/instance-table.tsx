import type { InstanceView } from "@dinp/core";
import type { JSX } from "preact";
import { InstanceBadge } from "./state-badge.js";
import { ago, plain } from "./text.js";

/** Instances with where they are and why they are so. */
export function InstanceTable({ instances }: { readonly instances: readonly InstanceView[] }): JSX.Element {
  if (instances.length === 0) return <p class="quiet">There are none now.</p>;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Instance</th>
          <th scope="col">State</th>
          <th scope="col">Release</th>
          <th scope="col">Node</th>
          <th scope="col">Started</th>
          <th scope="col">Reason</th>
        </tr>
      </thead>
      <tbody>
        {instances.map((instance) => (
          <tr key={instance.id}>
            <th scope="row">
              <code>{instance.id}</code>
            </th>
            <td data-label="State">
              <InstanceBadge instance={instance} />
            </td>
            <td data-label="Release">{instance.release}</td>
            <td data-label="Node">{instance.node}</td>
            <td data-label="Started">
              {instance.startedAt === null ? "–" : <Moment at={instance.startedAt} />}
            </td>
            <td data-label="Reason">{instance.reason === "" ? "–" : plain(instance.reason)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** How long ago; exactly, when it is pointed at. */
export function Moment({ at }: { readonly at: number }): JSX.Element {
  const date = new Date(at);
  return (
    <time dateTime={date.toISOString()} title={date.toLocaleString()}>
      {ago(at, Date.now())}
    </time>
  );
}

import type { RolloutInstanceView, RolloutView } from "@dinp/core/client";
import type { Color, Output } from "./terminal.js";
import { formatDuration, printable, shortId } from "./text.js";

const ROWS_MAX = 12;

type InstanceLike = Pick<RolloutInstanceView, "phase" | "ready" | "reason">;

/** What an instance is doing, in words, and the color of that. */
export function instanceState(instance: InstanceLike): { readonly text: string; readonly color: Color } {
  if (instance.ready) return { text: "ready", color: "green" };
  switch (instance.phase) {
    case "pending":
      return { text: "placed", color: "yellow" };
    case "starting":
      return { text: "starting", color: "yellow" };
    case "running":
      return { text: "not ready", color: "yellow" };
    case "stopping":
      return { text: "stopping", color: "dim" };
    case "exited":
      return { text: "ended", color: "red" };
  }
}

/**
 * The live account of a rollout: rows that change in place on a terminal; elsewhere one line for each instance that
 * changed its state.
 */
export class RolloutDisplay {
  readonly #output: Output;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #told = new Map<string, string>();
  #view: RolloutView | null = null;
  #note = "";
  #notice = "";
  #timer: NodeJS.Timeout | undefined;

  constructor(output: Output, options: { readonly now: () => number }) {
    this.#output = output;
    this.#now = options.now;
    this.#startedAt = options.now();
    if (output.isTty) {
      this.#timer = setInterval(() => {
        this.#draw();
      }, 1_000);
    }
  }

  update(view: RolloutView): void {
    this.#view = view;
    this.#note = "";
    if (this.#output.isTty) this.#draw();
    else for (const instance of view.instances) this.#tell(view, instance);
  }

  /** Something to say in between, such as a lost connection; shown until the next update. */
  note(text: string): void {
    if (this.#note === text) return;
    this.#note = text;
    if (this.#output.isTty) this.#draw();
    else this.#output.line(text);
  }

  /** What keeps the rollout from going on, until it is another or none (empty). */
  notice(text: string): void {
    if (this.#notice === text) return;
    this.#notice = text;
    if (this.#output.isTty) this.#draw();
    else if (text !== "") this.#output.line(`  ${printable(text)}`);
  }

  /** Ends the live account; on a terminal its last state stays as plain lines. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (!this.#output.isTty) return;
    this.#output.clearLive();
    if (this.#view === null) return;
    for (const instance of this.#view.instances.slice(0, ROWS_MAX)) {
      const { text, color } = instanceState(instance);
      this.#output.line(this.#output.paint(color, row(instance, text)));
    }
    if (this.#notice !== "") this.#output.line(this.#output.paint("yellow", `  ${printable(this.#notice)}`));
  }

  #tell(view: RolloutView, instance: RolloutInstanceView): void {
    const { text } = instanceState(instance);
    if (this.#told.get(instance.id) === text) return;
    this.#told.set(instance.id, text);
    const tally = instance.ready ? ` (${String(view.ready)} of ${String(view.wanted)})` : "";
    this.#output.line(`${row(instance, text)}${tally}`);
  }

  #draw(): void {
    const view = this.#view;
    if (view === null) return;
    const elapsed = formatDuration(this.#now() - this.#startedAt);
    const instances = [...view.instances].sort((a, b) => Number(a.ready) - Number(b.ready));
    const room = Math.max(1, Math.min(ROWS_MAX, this.#output.rows - 6));
    const rows: { text: string; color?: Color }[] = instances.slice(0, room).map((instance) => {
      const { text, color } = instanceState(instance);
      return { text: row(instance, text), color };
    });
    if (instances.length > room) rows.push({ text: `  and ${String(instances.length - room)} more` });
    const tally = `${String(view.ready)} of ${String(view.wanted)} ready, ${elapsed}`;
    for (const text of [this.#notice, this.#note]) {
      if (text !== "") rows.push({ text: `  ${text}`, color: "yellow" });
    }
    rows.push({ text: `Rolling out release ${String(view.number)}: ${tally}`, color: "bold" });
    this.#output.live(rows);
  }
}

function row(instance: RolloutInstanceView, state: string): string {
  const shows = !instance.ready && (instance.phase === "exited" || instance.phase === "running");
  const isNews = instance.reason !== "" && !instance.reason.includes(state);
  const reason = shows && isNews ? `: ${printable(instance.reason)}` : "";
  return `  instance ${shortId(instance.id)} on ${printable(instance.node)} ${state}${reason}`;
}

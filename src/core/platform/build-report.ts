import type { ChosenCommand } from "../build/choose-command.js";
import { recognizedBy } from "../build/describe-template.js";
import type { Template } from "../build/templates.js";
import type { Clock } from "../ports/system.js";
import type { ImageRef } from "../model/records.js";
import type { WantedBase } from "./base-source.js";
import { shownUrl } from "../build/upload-url.js";
import { commandText } from "./command-text.js";

/** Says what a build does, line by line. Names from the archive stay as they are: whoever shows the lines makes them harmless. */
export class BuildReport {
  readonly #say: (line: string) => void;
  readonly #clock: Clock;
  readonly #startedAt: number;

  constructor(say: (line: string) => void, clock: Clock) {
    this.#say = say;
    this.#clock = clock;
    this.#startedAt = clock.monotonicMs();
  }

  received(format: string, size: { readonly files: number; readonly bytes: number }): void {
    const files = `${String(size.files)} ${size.files === 1 ? "file" : "files"}`;
    this.#say(`received: ${files}, ${String(size.bytes)} bytes unpacked, as ${format}`);
  }

  template(template: Template, asked: string | undefined, inManifest: string | undefined): void {
    const rules = recognizedBy(template);
    const byFiles = rules === null ? "nothing says more" : `recognized by ${rules}`;
    const found = inManifest === undefined ? byFiles : "named in dinp.yaml";
    this.#say(`template: ${template.name} (${asked === undefined ? found : "named by the request"})`);
  }

  command({ command, source }: ChosenCommand, requires: readonly string[]): void {
    this.#say(`command: ${commandText(command, {})} (from ${source})`);
    if (requires.length > 0) this.#say(`requires: ${requires.join(", ")}`);
  }

  base(wanted: WantedBase | null, image: ImageRef | null): void {
    if (wanted === null) this.#say("base: none");
    else if (image === null) {
      this.#say(
        `base: none (${wanted.from} asks for ${wanted.name}, which is not registered: nodes must have its programs)`,
      );
    } else {
      this.#say(`base: ${wanted.name}@${image.digest} (named by ${wanted.from})`);
      this.#say("nodes that run plain processes use programs of their own instead of the base's");
    }
  }

  layer({ digest, size }: { readonly digest: string; readonly size: number }): void {
    this.#say(`layer: ${digest}, ${String(size)} bytes`);
  }

  installing(requirements: string, indexUrl: string | null): void {
    const from = indexUrl === null ? "what the app brings along" : shownUrl(new URL(indexUrl));
    this.#say(`installing: ${requirements}, from ${from}`);
  }

  notInstalled(requirements: string): void {
    this.#say(
      `${requirements} is not installed: nothing of an upload is run here (dinp up --builder docker)`,
    );
  }

  stored(repository: string, digest: string, tag: string | undefined): void {
    this.#say(`image: ${repository}@${digest}${tag === undefined ? "" : `, tag ${tag}`}`);
    this.#say(`done after ${this.#seconds()} s`);
  }

  #seconds(): string {
    return ((this.#clock.monotonicMs() - this.#startedAt) / 1000).toFixed(1);
  }
}

import { isDinpError, messageOf } from "../../model/errors.js";
import type { App } from "../../model/records.js";
import type { WriteOptions } from "../../platform/context.js";
import type { Platform } from "../../platform/platform.js";
import type { History } from "./history.js";
import { SeededRandom } from "./seeded-random.js";
import { behaviors, buildIdOf } from "./sim-build.js";
import type { World } from "./sim-process.js";

/** How long a user waits for an answer. */
const PATIENCE_MS = 20_000;
const PAUSE_MS = 9_000;
const ASK_AGAIN_MS = 3_000;
const ASKED_MAX = 3;

/** Answers that say nothing about whether it was done: with an idempotency key one may ask again. */
const openAnswers = ["no answer", "no server", "DINP_UNAVAILABLE", "DINP_COMMIT_UNKNOWN"];

/** One thing that a user may ask for, and how to tell whether it was done. */
interface Wish {
  readonly what: string;
  readonly app: string;
  /** `note`: the same for the same wish, however often it is asked for. */
  readonly ask: (platform: Platform, options: WriteOptions, note: string) => Promise<unknown>;
  /** True of the app at some moment between question and answer, when the answer was good. Null: there is none. */
  readonly isDone: (app: App | null, answer: unknown) => boolean;
}

type Answer =
  | { readonly said: "acknowledged"; readonly value: unknown }
  | { readonly said: string; readonly value: null };

export interface UserOptions {
  readonly name: string;
  readonly apps: readonly string[];
  readonly world: World;
  readonly history: History;
  /** The platform of some server that is up. */
  readonly platform: () => Platform | null;
  readonly instancesMax: number;
}

/** Someone who deploys, scales, stops, binds and deletes at random, and checks what was acknowledged. */
export class SimUser {
  readonly #options: UserOptions;
  readonly #random: SeededRandom;
  readonly #caller: WriteOptions["caller"];
  #isOver = false;
  #domains = 0;
  #wishes = 0;

  constructor(options: UserOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.world.seed, options.name);
    this.#caller = { tokenId: options.name, subject: options.name, role: "admin" };
  }

  begin(): void {
    const { scheduler } = this.#options.world;
    scheduler.after(this.#random.exponential(PAUSE_MS), () => {
      if (this.#isOver) return;
      void this.fulfil(this.wishFor(this.#random.pick(this.#options.apps))).then(() => {
        this.begin();
      });
    });
  }

  stop(): void {
    this.#isOver = true;
  }

  /** True when it was acknowledged. Checks what was. */
  async fulfil(wish: Wish): Promise<boolean> {
    const { world, history } = this.#options;
    const since = world.scheduler.now;
    this.#wishes += 1;
    const name = `wish ${this.#options.name} ${String(this.#wishes)}`;
    const isKeyed = this.#random.chance(0.5);
    const options = { caller: this.#caller, ...(isKeyed ? { idempotencyKey: name } : {}) };
    let answer = await this.#ask(wish, options, name);
    for (let asked = 1; isKeyed && asked < ASKED_MAX && openAnswers.includes(answer.said); asked += 1) {
      await world.scheduler.sleep(this.#random.exponential(ASK_AGAIN_MS));
      world.journal.count("asked again with the same key");
      answer = await this.#ask(wish, options, name);
    }
    if (answer.said !== "acknowledged") return false;
    if (!history.appSince(wish.app, since).some((app) => wish.isDone(app, answer.value))) {
      const message = `"${wish.what} ${wish.app}" was acknowledged, and the store never had it`;
      world.journal.violate("acknowledged-writes-are-kept", message);
    }
    return true;
  }

  async #ask(wish: Wish, options: WriteOptions, note: string): Promise<Answer> {
    const { world, platform } = this.#options;
    const asked = platform();
    if (asked === null) return { said: "no server", value: null };
    const answer = await Promise.race([
      wish.ask(asked, options, note).then(
        (value): Answer => ({ said: "acknowledged", value }),
        (error: unknown): Answer => ({ said: this.#refused(wish, error), value: null }),
      ),
      world.scheduler.sleep(PATIENCE_MS).then((): Answer => ({ said: "no answer", value: null })),
    ]);
    world.journal.note(`${this.#options.name}: ${wish.what} ${wish.app}: ${answer.said}`);
    world.journal.count(`${wish.what}: ${answer.said}`);
    return answer;
  }

  #refused({ what, app }: Wish, error: unknown): string {
    if (isDinpError(error)) return error.code;
    const message = `"${what} ${app}" ended with ${messageOf(error)}`;
    this.#options.world.journal.violate("acknowledged-writes-are-kept", message);
    return "crashed";
  }

  /** Anything that a user may want of an app. */
  wishFor(app: string): Wish {
    const random = this.#random;
    const dice = random.next();
    if (dice < 0.38) return this.deploy(app, random.pick(behaviors));
    if (dice < 0.62) return this.scale(app, random.integer(1, this.#options.instancesMax));
    if (dice < 0.69) return this.setDesired(app, "stopped");
    if (dice < 0.76) return this.setDesired(app, "running");
    if (dice < 0.82) return this.#bind(app);
    if (dice < 0.85) return this.#unbind(app);
    if (dice < 0.91) return this.#setVariable(app);
    if (dice < 0.95) return this.#rollBack(app);
    return this.#remove(app);
  }

  deploy(app: string, behavior: string): Wish {
    return {
      what: "deploy",
      app,
      ask: (platform, options, note) =>
        platform.createRelease(app, { buildId: buildIdOf(app, behavior), note }, options),
      isDone: (seen, answer) => seen?.desired === "running" && this.#isCurrent(seen, answer),
    };
  }

  scale(app: string, instances: number): Wish {
    return {
      what: "scale",
      app,
      ask: (platform, options) => platform.scaleApp(app, { instances }, options),
      isDone: (seen) => seen?.instances === instances,
    };
  }

  setDesired(app: string, desired: App["desired"]): Wish {
    return {
      what: desired === "running" ? "start" : "stop",
      app,
      ask: (platform, options) =>
        desired === "running" ? platform.startApp(app, options) : platform.stopApp(app, options),
      isDone: (seen) => seen?.desired === desired,
    };
  }

  #rollBack(app: string): Wish {
    return {
      what: "roll back",
      app,
      ask: (platform, options) => platform.rollback(app, {}, options),
      isDone: (seen, answer) => this.#isCurrent(seen, answer),
    };
  }

  #bind(app: string): Wish {
    this.#domains += 1;
    const host = `d${String(this.#domains)}.${app}.${this.#options.name}.example`;
    const { history } = this.#options;
    return {
      what: "bind",
      app,
      ask: (platform, options) => platform.addDomain(app, { host }, options),
      isDone: (seen) => seen !== null && (seen.deletedAt !== null || history.wasBound(`${host}/`)),
    };
  }

  /** Some domain of its own of the app's, if there is one. */
  #unbind(app: string): Wish {
    const { history, name } = this.#options;
    const own = [...history.present.all("domain")].filter(({ host }) =>
      host.endsWith(`.${app}.${name}.example`),
    );
    const host = own.length === 0 ? `d0.${app}.${name}.example` : this.#random.pick(own).host;
    return {
      what: "unbind",
      app,
      ask: (platform, options) => platform.removeDomain(app, { host }, options),
      isDone: () => history.present.get("domain", `${host}/`) === undefined,
    };
  }

  #setVariable(app: string): Wish {
    const value = String(this.#random.integer(0, 9));
    const { history } = this.#options;
    return {
      what: "set a variable of",
      app,
      ask: (platform, options) => platform.changeEnv(app, { set: { LEVEL: value } }, options),
      isDone: (seen) =>
        seen !== null &&
        (seen.deletedAt !== null ||
          [...history.present.of("release", seen.id)].some((release) => release.env["LEVEL"] === value)),
    };
  }

  #remove(app: string): Wish {
    return {
      what: "delete",
      app,
      ask: (platform, options) => platform.deleteApp(app, { confirm: true }, options),
      isDone: (seen) => seen !== null && seen.deletedAt !== null,
    };
  }

  /** The release that was answered was the app's current one; one that went with its app cannot be looked up. */
  #isCurrent(app: App | null, answer: unknown): boolean {
    if (app?.currentRelease == null) return false;
    const release = this.#options.history.present.get("release", app.currentRelease);
    return release === undefined || release.number === numberIn(answer);
  }
}

function numberIn(answer: unknown): number | null {
  if (typeof answer !== "object" || answer === null || !("number" in answer)) return null;
  return typeof answer.number === "number" ? answer.number : null;
}

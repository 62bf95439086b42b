import type { Platform } from "../../platform/platform.js";
import type { History } from "./history.js";
import type { SeededRandom } from "./seeded-random.js";
import type { World } from "./sim-process.js";
import type { SimRouter } from "./sim-router.js";
import { SimUser } from "./sim-user.js";

const appNames = ["ant", "bee", "cat", "dog", "elk", "fox"] as const;
const INSTANCES_MAX = 5;
const REQUEST_MS = 300;
const DOMAIN_SHARE = 0.2;
const COLLIDE_MS = 30_000;
/** What was asked for before the calm, and had no answer, may still come: so all is said again. */
const SETTLE_MS = [30_000, 90_000] as const;
const ASK_AGAIN_MS = 2_000;

export interface CrowdOptions {
  readonly random: SeededRandom;
  readonly history: History;
  readonly appsDomain: string;
  /** Of the servers that are up. */
  readonly platforms: () => readonly Platform[];
  /** That are up. */
  readonly routers: () => readonly SimRouter[];
}

/** Everybody outside the platform: the users who want things of it, and the requests that come in. */
export class Crowd {
  readonly apps: readonly string[] = appNames;
  readonly #world: World;
  readonly #options: CrowdOptions;
  readonly #users: readonly SimUser[];
  readonly #wanted = new Map<string, number>();

  constructor(world: World, options: CrowdOptions) {
    this.#world = world;
    this.#options = options;
    const { history } = options;
    const platform = (): Platform | null => pickOrNull(options.random, options.platforms());
    this.#users = ["ada", "bob"].map(
      (name) => new SimUser({ name, apps: appNames, world, history, platform, instancesMax: INSTANCES_MAX }),
    );
  }

  /** What was asked for last of each app, and acknowledged, after the calm: how many instances. */
  get wanted(): ReadonlyMap<string, number> {
    return this.#wanted;
  }

  begin(): void {
    for (const user of this.#users) user.begin();
    this.#sendRequests();
    this.#collide();
  }

  /** The users stop, and leave behind what can run. */
  calm(): void {
    for (const user of this.#users) user.stop();
    const [user] = this.#users;
    if (user === undefined) return;
    for (const app of appNames) void this.#settle(user, app, this.#options.random.integer(1, INSTANCES_MAX));
  }

  /** Now and then all users want something of one app at the same time. */
  #collide(): void {
    const { random } = this.#options;
    this.#world.scheduler.after(random.exponential(COLLIDE_MS), () => {
      if (!this.#world.faults.active) return;
      const app = random.pick(appNames);
      for (const user of this.#users) void user.fulfil(user.wishFor(app));
      this.#collide();
    });
  }

  async #settle(user: SimUser, app: string, instances: number): Promise<void> {
    const { scheduler } = this.#world;
    for (const pauseMs of SETTLE_MS) {
      await scheduler.sleep(pauseMs);
      for (const wish of [user.deploy(app, "ok"), user.scale(app, instances)]) {
        while (!(await user.fulfil(wish))) await scheduler.sleep(ASK_AGAIN_MS);
      }
    }
    this.#wanted.set(app, instances);
  }

  #sendRequests(): void {
    const { random } = this.#options;
    this.#world.scheduler.after(random.exponential(REQUEST_MS), () => {
      const { host, app } = this.#someHost();
      pickOrNull(random, this.#options.routers())?.request(host, app);
      this.#sendRequests();
    });
  }

  /** A host that is asked for, and the name of the app that may answer there. */
  #someHost(): { readonly host: string; readonly app: string } {
    const { random, history, appsDomain } = this.#options;
    const domains = random.chance(DOMAIN_SHARE) ? [...history.present.all("domain")] : [];
    const domain = pickOrNull(random, domains);
    // The second name of every domain that is bound here; see `SimUser`.
    if (domain !== null) return { host: domain.host, app: domain.host.split(".")[1] ?? "" };
    const app = random.pick(appNames);
    return { host: `${app}.${appsDomain}`, app };
  }
}

function pickOrNull<T>(random: SeededRandom, items: readonly T[]): T | null {
  return items.length === 0 ? null : random.pick(items);
}

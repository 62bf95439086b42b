import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { eventually, freePort, Hopeless, projectRoot, type TestPlatform } from "./harness.js";

/** The built `dinp-dash`: with vitest alone, run `npm run build` first. */
const program = join(projectRoot, "dist/bin/dinp-dash.js");
/** Of Debian's package `chromium`. */
export const CHROMIUM = "/usr/bin/chromium";

/** A browser without a window. It runs as whoever runs the tests: root has no sandbox to put it in. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-quic"] });
}

/** The program `dinp-dash` in a process of its own, before a platform. */
export class DashProcess {
  readonly url: string;
  readonly #port: number;
  #child: ChildProcess | null = null;
  #output = "";

  private constructor(port: number) {
    this.#port = port;
    this.url = `http://127.0.0.1:${String(port)}`;
  }

  static async start(platform: TestPlatform): Promise<DashProcess> {
    const dash = new DashProcess(await freePort());
    await dash.#start(platform);
    return dash;
  }

  /** All that it has written. */
  get output(): string {
    return this.#output;
  }

  async #start(platform: TestPlatform): Promise<void> {
    const args = ["--listen", String(this.#port), "--servers", platform.apiUrl, "--log-level", "debug"];
    const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    const collect = (chunk: Buffer): void => {
      this.#output += chunk.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    await eventually("dinp-dash", () => {
      if (child.exitCode !== null) throw new Hopeless(`dinp-dash ended: ${this.#output}`);
      return this.#output.includes("dinp-dash shows");
    });
  }

  /** Ends it as an operator does; gives the exit code. */
  async end(): Promise<number | null> {
    const child = this.#child;
    if (child === null || child.exitCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    return ended;
  }
}

/** The secret that the platform printed at its first start. */
export async function tokenOf(platform: TestPlatform): Promise<string> {
  const text = await readFile(join(platform.folder, "config/dinp/credentials.json"), "utf8");
  const [token] = /dinp_[0-9a-z]+/.exec(text) ?? [];
  if (token === undefined) throw new Error("the platform has stored no token");
  return token;
}

/** Fills in the form, and waits for what it leads to. */
export async function signIn(page: Page, dash: DashProcess, token: string): Promise<void> {
  await page.goto(dash.url);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Apps", exact: true }).waitFor();
}

/** All that is wider than the window, which could only be read by moving it sideways. */
export function overflowing(page: Page): Promise<string[]> {
  return page.evaluate(`[...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest("pre, .hidden"))
    .map((one) => one.outerHTML.slice(0, 120))`);
}

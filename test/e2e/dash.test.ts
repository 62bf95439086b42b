// The dashboard in a real browser, before a real platform.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@dinp/core/client";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { describeWith } from "../build/programs.js";
import { CHROMIUM, DashProcess, overflowing, signIn, startBrowser, tokenOf } from "./dash-support.js";
import { eventually, runProgram, temporaryFolder, TestPlatform } from "./harness.js";

const WAIT_MS = 90_000;
const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;

/** Packs files as a `.tar.gz`; gives its path. */
async function pack(folder: string, name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const source = join(folder, name);
  await mkdir(source);
  for (const [file, text] of Object.entries(files)) await writeFile(join(source, file), text);
  const path = join(folder, `${name}.tar.gz`);
  const { code, stderr } = await runProgram("tar", ["-czf", path, "-C", source, "."]);
  if (code !== 0) throw new Error(stderr);
  return path;
}

/** A Node app that answers with a text. */
function app(answer: string, more = ""): Readonly<Record<string, string>> {
  return {
    "package.json": JSON.stringify({ type: "module", scripts: { start: "node server.js" } }),
    "server.js": `import { createServer } from "node:http"; ${more}
createServer((_, response) => response.end(${JSON.stringify(answer)})).listen(process.env.PORT);`,
  };
}

vi.setConfig({ testTimeout: 480_000 });

describeWith([CHROMIUM], "the dashboard in a browser", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: TestPlatform;
  let dash: DashProcess;
  let browser: Browser;
  let token = "";
  const pages: Page[] = [];
  /** What browsers complained of, but refusals that the tests ask for. */
  const complaints: string[] = [];

  async function newPage(width = 1_400): Promise<Page> {
    const context = await browser.newContext({ viewport: { width, height: 900 } });
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    page.on("pageerror", ({ message }) => complaints.push(message));
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() === "error" && !text.startsWith("Failed to load resource")) complaints.push(text);
    });
    pages.push(page);
    return page;
  }

  async function signedIn(width?: number): Promise<Page> {
    const page = await newPage(width);
    await signIn(page, dash, token);
    return page;
  }

  async function openApp(page: Page, app: string): Promise<void> {
    await page.goto(`${dash.url}/#/apps/${app}`);
    await page.getByRole("heading", { name: "History" }).waitFor();
  }

  const endings: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    folder = await temporaryFolder();
    endings.push(() => folder.remove());
    platform = await TestPlatform.in(folder.path);
    endings.push(() => platform.dispose());
    await platform.start();
    token = await tokenOf(platform);
    dash = await DashProcess.start(platform);
    endings.push(() => dash.end());
    browser = await startBrowser();
    endings.push(() => browser.close());
  }, 480_000);

  afterEach(async () => {
    for (const page of pages.splice(0)) await page.context().close();
    expect(complaints.splice(0)).toEqual([]);
  });

  afterAll(async () => {
    for (const end of endings.reverse()) await end();
  }, 480_000);

  test("signs in by a token, says when it is wrong, and keeps it nowhere in the browser", async () => {
    const page = await newPage();
    await page.goto(dash.url);
    const field = page.getByLabel("Token");
    await field.waitFor();
    expect(await field.evaluate("document.activeElement === document.querySelector('#token')")).toBe(true);
    await field.fill("dinp_wrong");
    await page.keyboard.press("Enter");
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.textContent()).toContain("The token is not valid here.");
    expect(await page.getByText("Your session has ended").count()).toBe(0);

    await field.fill(token);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Apps", exact: true }).waitFor();
    const kept: string = await page.evaluate(
      "JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, location.href, document.documentElement.outerHTML])",
    );
    expect(kept).not.toContain(token);
    expect(kept.startsWith('["",{},{}')).toBe(true);
    const cookies = await page.context().cookies();
    expect(cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite])).toEqual([[true, "Strict"]]);
    expect(JSON.stringify(cookies)).not.toContain(token);

    await page.reload();
    await page.getByRole("button", { name: "Sign out" }).click();
    await field.waitFor();
    await page.reload();
    await field.waitFor();
  });

  test("deploys a file, shows how it rolls out, scales, stops and starts", async () => {
    const page = await signedIn();
    const archive = await pack(folder.path, "shop-1.2", app("first"));
    await page
      .getByRole("heading", { name: "Deploy an app" })
      .or(page.getByRole("button", { name: "Deploy an app" }))
      .first()
      .waitFor();
    await page.locator("input[type=file]").setInputFiles(archive);
    expect(await page.getByLabel("Name", { exact: true }).inputValue()).toBe("shop");
    await page.getByRole("button", { name: "Deploy", exact: true }).click();
    await page.getByRole("heading", { name: "shop" }).waitFor();
    await page.getByText("1 of 1 ready").first().waitFor();
    await eventually("the app", async () => (await platform.get("shop.apps.localhost")).body === "first");
    const instances = page.getByRole("region", { name: "Instances" });
    await instances.getByText("ready").first().waitFor();
    await eventually("the first instance", async () => (await instances.getByRole("row").count()) === 2);

    await page.getByRole("spinbutton", { name: "Instances" }).fill("2");
    await page.getByRole("button", { name: "Scale" }).click();
    await page.getByText("2 of 2 ready").waitFor();
    await eventually("the second instance", async () => (await instances.getByRole("row").count()) === 3);

    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    expect((await platform.get("shop.apps.localhost")).status).toBe(200);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
    await page.getByText("2 instances when started").waitFor();
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByText("2 of 2 ready").waitFor();
  });

  test("drops a file for a new release, deploys an image, and goes back", async () => {
    await pack(folder.path, "back-1", app("one"));
    await platform.ok("push", join(folder.path, "back-1"), "--app", "back");
    const page = await signedIn();
    await openApp(page, "back");
    await page.getByRole("button", { name: "Deploy", exact: true }).click();
    const archive = await pack(folder.path, "back-2", app("two"));
    const bytes = (await readFile(archive)).toString("base64");
    const dropped = await page.evaluateHandle(`(() => {
      const files = new DataTransfer();
      const bytes = Uint8Array.from(atob(${JSON.stringify(bytes)}), (c) => c.charCodeAt(0));
      files.items.add(new File([bytes], "back-2.tar.gz"));
      return files;
    })()`);
    await page.locator(".drop").dispatchEvent("drop", { dataTransfer: dropped });
    const form = page.getByRole("region", { name: "Deploy a new release" });
    await form.getByText("More").click();
    await form.getByLabel("Note").fill(HOSTILE);
    await form.getByRole("button", { name: "Deploy", exact: true }).click();
    await form.getByText("Release 2 is made.").waitFor();
    await eventually(
      "the second release",
      async () => (await platform.get("back.apps.localhost")).body === "two",
    );

    const history = page.getByRole("region", { name: "History" });
    await history.getByText(HOSTILE).waitFor();
    await history.getByRole("button", { name: "Roll back to release 1" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Roll back" }).click();
    await history.getByText("Release 3 is release 1 again.").waitFor();
    await eventually(
      "the first release",
      async () => (await platform.get("back.apps.localhost")).body === "one",
    );

    const client = createClient({ url: platform.apiUrl, token });
    const image = (await client.pageBuilds({ app: "back" })).items[0]?.image ?? "";
    expect(image).not.toBe("");
    await form.getByLabel("An image").check();
    await form.getByLabel("Image", { exact: true }).fill(image);
    await form.getByRole("button", { name: "Deploy", exact: true }).click();
    await form.getByText("Release 4 is made.").waitFor();
    await eventually("the image", async () => (await platform.get("back.apps.localhost")).body === "two");

    await form.getByLabel("Image", { exact: true }).fill("nowhere:latest");
    await form.getByRole("button", { name: "Deploy", exact: true }).click();
    const alert = form.getByRole("alert");
    await alert.waitFor();
    expect(await alert.textContent()).toContain("DINP_");
  });

  test("shows what others wrote as text: log lines, names, reasons", async () => {
    const hostile = `console.log(${JSON.stringify(HOSTILE)}); console.log("\\u001b[31mred\\u001b[0m");`;
    await pack(folder.path, "noisy", app("noisy", hostile));
    await platform.ok("push", join(folder.path, "noisy"), "--app", "noisy");
    const page = await signedIn();
    await openApp(page, "noisy");
    const log = page.getByRole("log");
    await log.getByText(HOSTILE).waitFor();
    await log.getByText("red", { exact: false }).last().waitFor();
    expect(await log.textContent()).not.toContain("\u001b");
    expect(await page.locator("img:not([src='/icon.svg']), main script").count()).toBe(0);

    await page.goto(`${dash.url}/#/apps/${encodeURIComponent(HOSTILE)}`);
    await page.getByRole("heading", { name: HOSTILE }).waitFor();
    await page.getByRole("alert").waitFor();
    expect(await page.title()).toBe(`${HOSTILE} – DINP`);
    expect(await page.locator("main img, main script").count()).toBe(0);
  });

  test("tells why an app or a build fails", async () => {
    const files = { ...app(""), "server.js": `throw new Error("no database at all");` };
    const broken = await pack(folder.path, "broken", files);
    const page = await signedIn();
    await page.getByRole("button", { name: "Deploy an app" }).click();
    await page.locator("input[type=file]").setInputFiles(broken);
    await page.getByRole("button", { name: "Deploy", exact: true }).click();
    await page.getByText("The last lines of its log").waitFor();
    expect(await page.locator(".trouble").textContent()).toContain("no database at all");
    await page.getByRole("link", { name: "Apps", exact: true }).click();
    await page
      .getByRole("row", { name: /broken/ })
      .getByText(/exited with code 1/)
      .waitFor();

    const nothing = join(folder.path, "nothing.zip");
    await writeFile(nothing, "this is no archive");
    await page.getByRole("button", { name: "Deploy an app" }).click();
    await page.locator("input[type=file]").setInputFiles(nothing);
    await page.getByRole("button", { name: "Deploy", exact: true }).click();
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.textContent()).toContain("DINP_");
  });

  test("can be read on narrow and wide screens, and says where its parts are", async () => {
    for (const width of [360, 1_400]) {
      const page = await signedIn(width);
      await page.getByText("of 1 ready").first().waitFor();
      expect(await overflowing(page)).toEqual([]);
      await openApp(page, "noisy");
      await page.getByRole("button", { name: "Deploy", exact: true }).click();
      expect(await overflowing(page)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
      const unlabelled = await page.evaluate(
        "[...document.querySelectorAll('input, button')].filter((one) => (one.labels?.length ?? 0) === 0 && !one.ariaLabel && one.textContent === '').length",
      );
      expect(unlabelled).toBe(0);
    }
  });

  test("writes no token into its log, which says that it was there", async () => {
    const page = await signedIn();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    expect(dash.output).toContain("dinp-dash shows");
    expect(dash.output).not.toContain(token);
  });

  test("says that the API is away, goes on when it is back, and that the session is", async () => {
    const page = await signedIn();
    await openApp(page, "noisy");
    await platform.end("SIGTERM");
    await page.getByText("The platform's API does not answer").first().waitFor();
    await page.getByText("What is shown below is from").waitFor();
    expect(await page.getByRole("heading", { name: "History" }).isVisible()).toBe(true);
    await page.reload();
    await page.getByText("The platform's API does not answer").first().waitFor();
    await platform.start();
    await page.getByText("1 of 1 ready").waitFor();
    await eventually("nothing is said to be away", async () => (await page.getByRole("alert").count()) === 0);
  });
});

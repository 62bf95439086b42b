import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../../scripts/lib/services/command.mjs";
import { programsOfKind } from "./programs.mjs";
import { dinp } from "./user.mjs";

/** @typedef {import("./plan.mjs").Plan} Plan */

/**
 * An app that the example pushes, and how it is known that it answers.
 *
 * @typedef {{
 *   name: string,
 *   base: string,
 *   source: (plan: Plan) => Promise<string>,
 *   flags: readonly string[],
 *   path: string,
 *   says: RegExp,
 * }} App `base`: the base image that it is put on, made of this machine's own programs. `source`: what is pushed.
 */

const TOMCAT_EXAMPLES = "/usr/share/tomcat10-examples/examples";
const ANSWER_MS_MAX = 30_000;

/** What the apps and their base images are made of. */
export const appPackages = [
  ...["busybox-static", "default-jre-headless", "python3"],
  ...["tomcat10-common", "tomcat10-examples", "zip"],
];

/** @param {string} name */
function demo(name) {
  return async () => fileURLToPath(new URL(`../../apps/${name}`, import.meta.url));
}

/** @type {readonly App[]} */
export const apps = [
  {
    ...{ name: "hello", base: "node", source: demo("hello"), flags: ["--instances", "3"] },
    ...{ path: "/", says: /hello runs on DINP/ },
  },
  {
    ...{ name: "python", base: "python", source: demo("python"), flags: ["--instances", "2"] },
    ...{ path: "/", says: /^python: release \d+/ },
  },
  { name: "static", base: "static", source: demo("static"), flags: [], path: "/", says: /<html/ },
  {
    ...{ name: "examples", base: "tomcat", source: zipTomcatExamples, flags: ["--memory", "384M"] },
    ...{ path: "/servlets/servlet/HelloWorldExample", says: /<h1>Hello World!<\/h1>/ },
  },
];

/** Tomcat's own examples, as the archive that a Java team would hand over. @param {Plan} plan */
async function zipTomcatExamples({ folder }) {
  const war = join(folder, "examples.war");
  await runCommand("sh", ["-c", 'cd "$1" && rm -f "$2" && zip -q -r "$2" .', "sh", TOMCAT_EXAMPLES, war]);
  return war;
}

/** Makes the base images and pushes the apps; each answers when this resolves. @param {Plan} plan @param {(text: string) => void} say */
export async function pushApps(plan, say) {
  for (const base of new Set(apps.map((app) => app.base)))
    await dinp(plan, ["bases", "add", base, "--from-host"]);
  for (const { name, source, flags } of apps) {
    await dinp(plan, ["push", await source(plan), "--app", name, ...flags]);
    say(`pushed ${name}`);
  }
}

/** Asks each app through each router until it answers as it should, and says so. @param {Plan} plan @param {(text: string) => void} say */
export async function askApps(plan, say) {
  for (const router of programsOfKind(plan, "dinp-router")) {
    for (const app of apps) {
      await untilItAnswers(router.address, app);
      say(`${app.name} answers through ${router.name}`);
    }
  }
}

/** @param {string} address @param {App} app */
async function untilItAnswers(address, { name, path, says }) {
  const end = performance.now() + ANSWER_MS_MAX;
  for (;;) {
    const answer = await ask(address, `${name}.apps.localhost`, path).catch(
      (/** @type {Error} */ error) => error.message,
    );
    if (says.test(answer)) return;
    if (performance.now() > end) {
      throw new Error(`${name} does not answer through ${address} as it should: ${answer.slice(0, 200)}`);
    }
    await delay(100);
  }
}

/** @param {string} address @param {string} host @param {string} path @returns {Promise<string>} */
function ask(address, host, path) {
  return new Promise((resolve, reject) => {
    const options = { host: address, port: 8080, path, headers: { host }, agent: false, timeout: 10_000 };
    const asked = request(options, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (body += chunk));
      response.on("error", reject);
      response.on("end", () => resolve(body));
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer within 10 s")));
    asked.on("error", reject);
    asked.end();
  });
}

/** What a program of the suite tells of itself. */
export interface SelfPortrait {
  /** Another one for each process. */
  readonly token: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly args: readonly string[];
  readonly isTerminal: boolean;
}

/** What is in a program's own folders. */
export interface Leavings {
  readonly paths: readonly string[];
  readonly found: readonly string[];
}

const PORTRAIT = `
const portrait = () => JSON.stringify({
  token: String(Math.random()),
  env: process.env,
  cwd: process.cwd(),
  args: process.argv.slice(2),
  isTerminal: [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY === true),
});
`;

/**
 * Answers with its portrait. At the start it writes the lines that LINES counts, keeps a line coming with CHATTER, and
 * leaves a process behind with WATCHMAN. On SIGTERM it ends after the milliseconds of TERM_TAKES, at once without, or
 * never (`for ever`).
 */
const SERVER = `
${PORTRAIT}
const self = portrait();
const { LINES = "0", CHATTER = "no", WATCHMAN = "", TERM_TAKES = "0" } = process.env;
const server = require("node:http").createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://app");
  if (pathname === "/exit") process.exit(3);
  if (pathname === "/log") console.log(searchParams.get("text"));
  response.end(self);
});
process.on("SIGTERM", () => {
  console.log("asked to end");
  if (TERM_TAKES === "0") process.exit(0);
  if (TERM_TAKES !== "for ever") setTimeout(() => {
    console.log("done");
    process.exit(0);
  }, Number(TERM_TAKES));
});
for (let line = 1; line <= Number(LINES); line += 1) console.log("line " + line);
if (CHATTER === "yes") {
  let line = 0;
  setInterval(() => console.log("line " + (line += 1)), 5);
}
const daemon = () => require("node:child_process")
  .spawn("node", ["daemon.js", ...WATCHMAN.split(" ")], { detached: true, stdio: "ignore" }).unref();
if (WATCHMAN !== "") daemon();
server.listen(Number(process.env.PORT), () => console.log("listening"));
`;

/**
 * Holds a connection to the address and port that it is given while it lives, says something there all the time, and does
 * not end when it is asked to.
 * What it hears there it makes known by the file `go`.
 */
const DAEMON = `
const [host, port] = process.argv.slice(2);
const go = () => require("node:fs").writeFileSync(process.env.TMPDIR + "/go", "");
const socket = require("node:net").connect(Number(port), host).on("error", () => undefined).on("data", go);
process.on("SIGTERM", () => undefined);
setInterval(() => socket.write("."), 100);
`;

/** Leaves a daemon in a session of its own behind, and ends by itself when that has heard something. */
const PARENT = `
const [host, port] = process.argv.slice(2);
require("node:child_process").spawn("node", ["daemon.js", host, port], { detached: true, stdio: "ignore" }).unref();
process.on("SIGTERM", () => undefined);
process.stdout.write("begun");
setInterval(() => {
  if (require("node:fs").existsSync(process.env.TMPDIR + "/go")) process.exit(4);
}, 10);
`;

/** Takes 1 GB, so that a runtime that looks late finds it, and a machine on which nobody looks has the rest. */
const EAGER = `
const kept = [];
setInterval(() => kept.length < 128 && kept.push(Buffer.alloc(8 * 1024 * 1024, 1)), 10);
`;

const ABOUT_ITSELF = `
${PORTRAIT}
process.stderr.write("to the other stream");
process.stdout.write(portrait());
process.exitCode = 7;
`;

const UPPER_CASE = `
let text = "";
process.stdin.on("data", (chunk) => (text += chunk));
process.stdin.on("end", () => process.stdout.write(text.toUpperCase()));
`;

const ODD_END = `
process.stdout.write(Buffer.from([0, 255, 27, 10, 200]), () => process.kill(process.pid, "SIGUSR2"));
setInterval(() => undefined, 1000);
`;

/** Writes 64 KiB at a time, without end, and counts in a file what it has written. */
const TALKATIVE = `
const fs = require("node:fs");
let count = 0;
const tell = () => fs.writeFileSync(process.env.TMPDIR + "/written", String(count));
const more = () => process.stdout.write(Buffer.alloc(65536, 120), () => {
  count += 1;
  tell();
  more();
});
tell();
more();
`;

/** Writes what the file of this name in its folder for temporary files holds. */
const SHOW = `
const path = process.env.TMPDIR + "/" + process.argv[2];
const fs = require("node:fs");
process.stdout.write(fs.existsSync(path) ? fs.readFileSync(path, "utf8") : "nothing");
`;

/** Puts a text into a file of this name in its folder for temporary files. */
const KEEP = `
const [name, text] = process.argv.slice(2);
require("node:fs").writeFileSync(process.env.TMPDIR + "/" + name, text);
`;

/** Leaves a file in each of its own folders, and tells the files' paths and which of them were there before. */
const LEAVE = `
const fs = require("node:fs");
const paths = [process.env.HOME, process.env.TMPDIR].map((folder) => folder + "/left");
const found = paths.filter((path) => fs.existsSync(path));
for (const path of paths) fs.writeFileSync(path, "behind");
process.stdout.write(JSON.stringify({ paths, found }));
`;

/** Ends with code 0 when none of these paths is there, else with code 1. */
const ABSENT = `
process.exitCode = process.argv.slice(2).some((path) => require("node:fs").existsSync(path)) ? 1 : 0;
`;

/** The files of the suite's image. */
export const programs: Readonly<Record<string, string>> = {
  "server.js": SERVER,
  "daemon.js": DAEMON,
  "parent.js": PARENT,
  "eager.js": EAGER,
  "about-itself.js": ABOUT_ITSELF,
  "upper-case.js": UPPER_CASE,
  "odd-end.js": ODD_END,
  "talkative.js": TALKATIVE,
  "show.js": SHOW,
  "keep.js": KEEP,
  "leave.js": LEAVE,
  "absent.js": ABSENT,
};

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findTomcat, tomcatProgram } from "@dinp/core/tomcat";

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "dinp-tomcat-"));
  await mkdir(join(dir, "ten/bin"), { recursive: true });
  await writeFile(join(dir, "ten/bin/bootstrap.jar"), "");
  await mkdir(join(dir, "app"));
});

afterAll(() => rm(dir, { recursive: true, force: true }));

/** Runs the program in a bare environment; gives its exit code and what it said. */
function run(home: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const [program = "", ...words] = [...tomcatProgram(home), ...args];
  return new Promise<{ readonly code: unknown; readonly said: string }>((resolve) => {
    execFile(program, words, { env: { PATH: "/usr/bin:/bin", TMPDIR: dir, ...env } }, (error, _, said) => {
      resolve({ code: error === null ? 0 : error.code, said });
    });
  });
}

describe("Tomcat", () => {
  it("is found where it is named, else where packages put it", async () => {
    const ten = join(dir, "ten");
    expect(await findTomcat({}, [join(dir, "eleven"), ten])).toBe(ten);
    expect(await findTomcat({ CATALINA_HOME: "" }, [ten])).toBe(ten);
    expect(await findTomcat({ CATALINA_HOME: ten }, [])).toBe(ten);
    expect(await findTomcat({ CATALINA_HOME: join(dir, "nowhere") }, [ten])).toBeNull();
    expect(await findTomcat({}, [])).toBeNull();
  });

  it.each([
    ["without a folder", [], { PORT: "1" }, 2, /write: dinp-tomcat DIR/],
    ["without a port", ["app"], {}, 2, /PORT must be the number of a port/],
    ["with a port that is none", ["app"], { PORT: "1 2" }, 2, /PORT must be/],
  ])("is not started %s", async (_, args, env, code, message) => {
    const paths = args.map((name) => join(dir, name));
    const ended = await run(join(dir, "ten"), paths, env);
    expect(ended).toEqual({ code, said: expect.stringMatching(message) as string });
  });

  it("says when its own folder cannot be read", async () => {
    const ended = await run(join(dir, "gone"), [join(dir, "app")], { PORT: "1" });
    expect(ended).toEqual({
      code: 1,
      said: expect.stringContaining("gone/bin/bootstrap.jar cannot be read") as string,
    });
  });
});

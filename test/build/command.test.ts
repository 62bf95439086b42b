import { describe, expect, it } from "vitest";
import { execFileSync } from "node:child_process";
import {
  builtInTemplates,
  chooseCommand,
  chooseTemplate,
  requiredPrograms,
  shellCommand,
  templateNamed,
  webProcess,
  type AppFiles,
  type Template,
} from "@dinp/core";

function files(names: readonly string[], extra: Partial<AppFiles> = {}): AppFiles {
  return {
    rootNames: new Set(names.map((name) => name.split("/")[0] ?? "")),
    procfile: null,
    packageJson: names.includes("package.json") ? "{}" : null,
    controlIsExecutable: false,
    hasFile: (path) => names.includes(path),
    ...extra,
  };
}

function named(name: string): Template {
  return templateNamed(builtInTemplates, name);
}

function commandOf(app: AppFiles, wanted?: string): readonly string[] {
  const template = wanted === undefined ? chooseTemplate(builtInTemplates, app) : named(wanted);
  return chooseCommand(app, template, null, { templates: builtInTemplates }).command;
}

describe("template", () => {
  it.each([
    [["package.json", "index.html", "main.py"], "node"],
    [["requirements.txt", "index.html"], "python"],
    [["wsgi.py"], "python"],
    [["index.html", "app.js"], "static"],
    [["server.js"], "node"],
    [["bin", "control"], "plain"],
    [["WEB-INF/web.xml", "index.html"], "java-war"],
    [["index.php", "package.json"], "php"],
    [["public/index.php", "package.json"], "php"],
    [["public/x.css", "index.html"], "static"],
    [["shop.jar", "lib"], "java-jar"],
  ])("of %j is %s", (names, template) => {
    expect(chooseTemplate(builtInTemplates, files(names)).name).toBe(template);
  });

  it("is the one that was asked for; unknown ones name the known", () => {
    expect(named("static").name).toBe("static");
    expect(() => named("ruby")).toThrow(
      expect.objectContaining({
        code: "DINP_INVALID",
        hint: "Templates: java-war, php, node, python, java-jar, static, binary, dockerfile, plain.",
      }) as Error,
    );
  });
});

describe("command", () => {
  const everything = files(["package.json", "Procfile", "control", "server.js"], {
    packageJson: '{"scripts":{"start":"node start.js"},"main":"main.js"}',
    procfile: "worker: x\nweb:  node proc.js --port $PORT\n",
    controlIsExecutable: true,
  });
  const node = named("node");

  it("comes from the push, dinp.yaml, Procfile, control, then the template", () => {
    expect(chooseCommand(everything, node, { command: ["a"] }, { wanted: ["b", "c"] }).command).toEqual([
      "b",
      "c",
    ]);
    expect(chooseCommand(everything, node, { command: "a b" }).command).toEqual([
      "/bin/sh",
      "-c",
      "exec a b",
    ]);
    expect(chooseCommand(everything, node, {}).command).toEqual([
      "/bin/sh",
      "-c",
      "exec node proc.js --port $PORT",
    ]);
    const noProcfile = { ...everything, procfile: "worker: x" };
    expect(chooseCommand(noProcfile, node, null).command).toEqual([
      "/bin/sh",
      "-c",
      'exec ./control start "$PORT"',
    ]);
    const noControl = { ...noProcfile, controlIsExecutable: false };
    expect(chooseCommand(noControl, node, null).command).toEqual([
      "/bin/sh",
      "-c",
      'PATH="$PWD/node_modules/.bin:$PATH"; export PATH; exec node start.js',
    ]);
  });

  it.each([
    [{ packageJson: '{"main":"lib"}' }, ["package.json", "lib/index.js", "index.js"], ["node", "lib"]],
    [{ packageJson: '{"main":"./x"}' }, ["package.json", "x.js"], ["node", "./x"]],
    [{ packageJson: '{"main":"-e.js"}' }, ["package.json", "-e.js"], ["node", "./-e.js"]],
    [{ packageJson: '{"main":"absent.js"}' }, ["package.json", "app.js", "index.js"], ["node", "index.js"]],
    [
      { packageJson: '\uFEFF{"scripts":{"start":" "}}' },
      ["package.json", "server.js"],
      ["node", "server.js"],
    ],
    [{ packageJson: '{"scripts":null,"main":7}' }, ["package.json", "app.js"], ["node", "app.js"]],
    [{}, ["app.py", "server.py"], ["python3", "app.py"]],
    [{}, ["requirements.txt", "wsgi.py", "main.py"], ["python3", "main.py"]],
    [{}, ["index.html"], ["dinp-static", "."]],
    [{}, ["WEB-INF"], ["dinp-tomcat", "."]],
    [{}, ["public/index.php", "index.php"], ["/bin/sh", "-c", 'exec php -S "0.0.0.0:$PORT" -t public']],
    [{}, ["index.php"], ["/bin/sh", "-c", 'exec php -S "0.0.0.0:$PORT" -t .']],
  ])("of a template: %j with %j is %j", (extra, names, command) => {
    expect(commandOf(files(names, extra))).toEqual(command);
  });

  it("that cannot be found says what was looked for and what to do", () => {
    const error = (app: AppFiles): unknown => {
      try {
        return commandOf(app);
      } catch (thrown) {
        return thrown;
      }
    };
    expect(error(files(["package.json", "lib/x.js"]))).toMatchObject({
      code: "DINP_NO_COMMAND",
      message: expect.stringMatching(
        /dinp\.yaml.*Procfile.*control.*scripts\.start.*main in.*server\.js/,
      ) as string,
      hint: expect.stringMatching(/dinp\.yaml.*\$PORT.*--command/) as string,
    });
    expect(error(files(["notes.txt", "x"]))).toMatchObject({
      message: expect.stringMatching(/package\.json.*\(node\).*\(python\).*index\.html \(static\)/) as string,
    });
    expect(error(files(["myapp/package.json"]))).toMatchObject({
      hint: expect.stringContaining('inside the folder "myapp"') as string,
    });
    expect(error(files(["package.json"], { packageJson: "{" }))).toMatchObject({ code: "DINP_INVALID" });
  });
});

describe("shell lines", () => {
  it.each([
    ["node server.js", "exec node server.js"],
    ["  gunicorn -b 0.0.0.0:${PORT} app:app ", "exec gunicorn -b 0.0.0.0:${PORT} app:app"],
    ["node x.js --port ${PORT:-3000}", "exec node x.js --port ${PORT:-3000}"],
    ['./run "a b"', 'exec ./run "a b"'],
    ["NODE_ENV=production node server.js", "exec env NODE_ENV=production node server.js"],
    ['A="x y" node server.js', 'A="x y" node server.js'],
    ["A=1", "A=1"],
    ["cd sub && node x", "cd sub && node x"],
    ["cd sub", "cd sub"],
    ["exec node x", "exec node x"],
    ["a | b", "a | b"],
    ["a; b", "a; b"],
    ["a > log", "a > log"],
    ["echo $(date)", "echo $(date)"],
    ["if true; then a; fi", "if true; then a; fi"],
    ["a # note", "a # note"],
  ])("%s", (line, expected) => {
    expect(shellCommand(line)).toEqual(["/bin/sh", "-c", expected]);
  });

  it("mean the same with exec as without", () => {
    const lines = [
      "printf '%s|' a 'b c' \"$X\" ${X:-z}",
      "X=2 sh -c 'printf $X'",
      "X=2 printenv X",
      "env printf %s ok",
    ];
    for (const line of lines) {
      const [program = "", ...args] = shellCommand(line);
      const options = { env: { PATH: process.env["PATH"], X: "1" } };
      const plain = execFileSync("/bin/sh", ["-c", line], options).toString();
      expect(execFileSync(program, args, options).toString()).toBe(plain);
      expect(plain).not.toBe("");
    }
  });

  it("leave the program itself in the shell's place", () => {
    const [program = "", ...args] = shellCommand("sh -c 'cat /proc/$PPID/cmdline'");
    expect(execFileSync(program, args).toString()).not.toContain("/bin/sh");
  });

  it("are found in a Procfile", () => {
    expect(webProcess("# x\r\nworker: a\r\nweb: node x\r\n")).toBe("node x");
    expect(webProcess("website: a\nweb:\n web: b")).toBeNull();
  });
});

describe("required programs", () => {
  it.each([
    ["node", ["node", "x.js"], ["node"]],
    ["static", ["dinp-static", "."], []],
    ["static", ["/bin/sh", "-c", "exec python3 -m http.server $PORT"], ["python3"]],
    ["plain", ["/bin/sh", "-c", "exec env A=1 java -jar app.war"], ["java"]],
    ["plain", ["./server"], []],
    ["python", ["/bin/sh", "-c", "exec gunicorn app"], ["python3"]],
    ["node", ["./bin/python3"], ["node"]],
  ])("of %s with %j are %j", (template, command, programs) => {
    expect(requiredPrograms(named(template), command)).toEqual(programs);
  });
});

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  builtInTemplates,
  chooseTemplate,
  commandFrom,
  extendTemplates,
  parseTemplates,
  recognizedBy,
  type Template,
} from "@dinp/core";
import { parseYaml } from "@dinp/core/yaml";

function read(yaml: string): readonly Template[] {
  return parseTemplates(parseYaml(yaml), "my.yaml");
}

const ruby = `
templates:
  - name: ruby
    description: A Ruby program
    recognize:
      - files: [Gemfile, "*.rb"]
        without: package.json
      - upload: "*.gem"
      - content: program
    base: ruby
    unpack: { keep: app.gem }
    command:
      - files: [config.ru]
        run: rackup -p $PORT
      - files: ["*.rb"]
        run: [ruby, "{file}"]
      - package_json: main
      - run: [./run]
    port: 8080
    check: { path: /up, startup: 30s }
    requires: [ruby]
`;

describe("templates", () => {
  it("that come with the platform are what their YAML file says", () => {
    const file = fileURLToPath(new URL("../../src/core/build/templates.yaml", import.meta.url));
    expect(parseTemplates(parseYaml(readFileSync(file, "utf8")), "templates.yaml")).toEqual(builtInTemplates);
    expect(builtInTemplates.map(({ name }) => name).sort()).toEqual(
      ["binary", "dockerfile", "java-jar", "java-war", "node", "php", "plain", "python", "static"].sort(),
    );
  });

  it("are read whole from a file", () => {
    expect(read(ruby)).toEqual([
      {
        name: "ruby",
        description: "A Ruby program",
        recognize: [
          { by: "files", anyOf: ["Gemfile", "*.rb"], noneOf: ["package.json"] },
          { by: "upload", names: ["*.gem"] },
          { by: "program" },
        ],
        base: "ruby",
        keepAs: "app.gem",
        command: [
          { from: "files", files: ["config.ru"], run: ["/bin/sh", "-c", "exec rackup -p $PORT"] },
          { from: "files", files: ["*.rb"], run: ["ruby", "{file}"] },
          { from: "package-json", field: "main" },
          { from: "template", run: ["./run"] },
        ],
        port: 8080,
        check: { path: "/up", startupMs: 30_000 },
        requires: ["ruby"],
      },
    ]);
    expect(read("templates: [{name: x, description: y, unpack: tree, port: env}]")).toEqual([
      {
        name: "x",
        description: "y",
        recognize: [],
        base: null,
        keepAs: null,
        command: [],
        port: null,
        check: {},
        requires: [],
      },
    ]);
  });

  it("of an operator come first and take the place of those of the same name", () => {
    const own = read("templates: [{name: go, description: x}, {name: node, description: y}]");
    const all = extendTemplates(builtInTemplates, own);
    expect(all.slice(0, 2)).toEqual(own);
    expect(all).toHaveLength(builtInTemplates.length + 1);
    const files = { rootNames: new Set(["Gemfile", "index.html"]), hasFile: () => false };
    expect(chooseTemplate(extendTemplates(builtInTemplates, read(ruby)), files).name).toBe("ruby");
    expect(chooseTemplate(builtInTemplates, files).name).toBe("static");
  });

  it("are told to people", () => {
    const told = builtInTemplates.map((template) => [
      template.name,
      recognizedBy(template),
      commandFrom(template),
    ]);
    expect(told).toContainEqual(["java-war", "an upload named *.war; WEB-INF", "dinp-tomcat ."]);
    expect(told).toContainEqual([
      "python",
      "requirements.txt or *.py",
      "main.py, app.py, server.py, wsgi.py",
    ]);
    expect(told).toContainEqual(["binary", "an upload that is one program or script", "app"]);
    expect(told).toContainEqual(["plain", null, null]);
  });

  const one = (lines: string): string => `templates: [{name: shop, description: x, ${lines}}]`;
  it.each([
    ["", /my\.yaml: "templates" is empty/],
    ["templates: 7", /"templates" is 7/],
    ["[]", /"templates"/],
    ["template: []", /"templates"/],
    ["{templates: [], more: 1}", /no key "more"/],
    ["templates: [7]", /"templates\[0\]" is 7/],
    ["templates: [{description: x}]", /"templates\[0\]\.name" is empty/],
    ["templates: [{name: A B}]", /"templates\[0\]\.name" is "A B"/],
    ["templates: [{name: a}]", /the template "a": "description" is empty/],
    ["templates: [{name: a, description: x}, {name: a, description: x}]", /two templates .* "a"/],
    ["templates: [{name: plain, description: x, recognize: [{files: x}]}]", /"plain": "recognize".*absent/],
    [one("recogniez: []"), /the template "shop": there is no key "recogniez"; did you mean "recognize"/],
    [one("__proto__: 1"), /no key "__proto__"/],
    [one("recognize: x"), /"recognize" is "x"; it must be a list/],
    [one("recognize: [x]"), /"recognize\[0\]" is "x"/],
    [one("recognize: [{}]"), /"recognize\[0\]" is a map/],
    [one("recognize: [{files: []}]"), /"recognize\[0\]\.files"/],
    [one("recognize: [{files: ['*.*']}]"), /"recognize\[0\]\.files\[0\]" is "\*\.\*".*at most one/],
    [one("recognize: [{files: [a, ../b]}]"), /"recognize\[0\]\.files\[1\]" is "\.\.\/b"/],
    [one("recognize: [{files: [a/*.b]}]"), /"a\/\*\.b"/],
    [one("recognize: [{upload: [a/b]}]"), /"recognize\[0\]\.upload\[0\]"/],
    [one("recognize: [{upload: a, files: b}]"), /no key "recognize\[0\]\.files"/],
    [one("recognize: [{content: war}]"), /"recognize\[0\]\.content" is "war"/],
    [one("base: My Image"), /"base" is "My Image"/],
    [one("unpack: flat"), /"unpack" is "flat"/],
    [one("unpack: {keep: ../x}"), /"unpack"/],
    [one("command: [{files: [a]}]"), /"command\[0\]\.run" is empty/],
    [one("command: [{run: [1]}]"), /"command\[0\]\.run" is a list/],
    [one("command: [{run: []}]"), /"command" is a list/],
    [one("command: [{files: [a], run: 'x {file}'}]"), /"command\[0\]\.run" is "x {file}".*one word/],
    [one("command: [{files: [a], run: ['./{file}']}]"), /"command\[0\]\.run" is a list/],
    [one("command: [{run: [x, '{file}']}]"), /"command\[0\]\.run" is a list/],
    [one("command: [{package_json: test}]"), /"command\[0\]\.package_json" is "test"/],
    [one("port: 70000"), /"port" is 70000/],
    [one("port: PORT"), /"port" is "PORT"/],
    [one("check: {startup: 5}"), /"check\.startup" is 5/],
    [one("check: {path: x}"), /the template "shop": "check\.path" is "x"/],
    [one("requires: [/bin/sh]"), /"requires\[0\]" is "\/bin\/sh"/],
  ])("%s is refused, naming template and key", (yaml, message) => {
    expect(() => read(yaml)).toThrow(
      expect.objectContaining({
        code: "DINP_INVALID",
        message: expect.stringMatching(message) as string,
      }) as Error,
    );
    expect(() => read(yaml)).toThrow(/^my\.yaml: /);
  });
});

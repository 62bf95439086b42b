// Written by `npm run templates` from templates.yaml.
import { parseTemplates } from "./parse-templates.js";
import type { Template } from "./templates.js";

/** The templates that come with the platform, in the order in which they are tried; what templates.yaml holds. */
export const builtInTemplates: readonly Template[] = /* @__PURE__ */ parseTemplates(
  {
    templates: [
      {
        name: "java-war",
        description: "A Java web application (servlets, JSP), run by Apache Tomcat",
        recognize: [{ upload: ["*.war"] }, { files: ["WEB-INF"] }],
        base: "tomcat",
        command: [{ run: ["dinp-tomcat", "."] }],
        requires: ["dinp-tomcat", "java"],
        check: { startup: "2m" },
      },
      {
        name: "php",
        description: "A PHP site, run by PHP's own web server; its root is public/ if index.php lies there",
        recognize: [{ files: ["index.php", "public/index.php"] }],
        base: "php",
        command: [
          { files: ["public/index.php"], run: 'php -S "0.0.0.0:$PORT" -t public' },
          { files: ["index.php"], run: 'php -S "0.0.0.0:$PORT" -t .' },
        ],
        requires: ["php"],
      },
      {
        name: "node",
        description: "A Node.js program with its node_modules",
        recognize: [
          { files: ["package.json"] },
          { files: ["server.js", "index.js", "app.js"], without: ["index.html", "requirements.txt", "*.py"] },
        ],
        base: "node",
        command: [
          { package_json: "start" },
          { package_json: "main" },
          { files: ["server.js", "index.js", "app.js"], run: ["node", "{file}"] },
        ],
        requires: ["node"],
      },
      {
        name: "python",
        description: "A Python 3 program with its libraries",
        recognize: [{ files: ["requirements.txt", "*.py"] }],
        base: "python",
        command: [{ files: ["main.py", "app.py", "server.py", "wsgi.py"], run: ["python3", "{file}"] }],
        requires: ["python3"],
      },
      {
        name: "java-jar",
        description: "A Java program in one .jar that has all it needs; it must listen on $PORT",
        recognize: [{ upload: ["*.jar"] }, { files: ["*.jar"] }],
        base: "java",
        unpack: { keep: "app.jar" },
        command: [
          {
            files: ["*.jar"],
            run: [
              "/bin/sh",
              "-c",
              'exec java -Xmx"$((${DINP_MEMORY_MB:-256} * 6 / 10))m" -XX:+UseSerialGC -jar "$0"',
              "{file}",
            ],
          },
        ],
        requires: ["java"],
        check: { startup: "2m" },
      },
      {
        name: "static",
        description: "Files as they are, served by the platform's own file server",
        recognize: [{ files: ["index.html"] }],
        base: "static",
        command: [{ run: ["dinp-static", "."] }],
      },
      {
        name: "binary",
        description: "One program for Linux, or one script; it must listen on $PORT",
        recognize: [{ content: "program" }],
        base: "linux",
        unpack: { keep: "app" },
        command: [{ files: ["app"], run: ["./app"] }],
      },
      {
        name: "dockerfile",
        description:
          "Whatever the Dockerfile of the app makes; the platform must run builds (--builder docker)",
        build: "dockerfile",
      },
      { name: "plain", description: "Anything else, with a command of its own", base: "linux" },
    ],
  },
  "the built-in templates",
);

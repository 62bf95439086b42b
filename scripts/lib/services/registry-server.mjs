import { readFileSync, writeFileSync } from "node:fs";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { join } from "node:path";
import { randomBytes } from "node:crypto";

/**
 * How a registry is to be run.
 *
 * @typedef {{
 *   port: number,
 *   host?: string,
 *   tls?: { certificate: string, key: string, ca: string },
 *   htpasswd?: string,
 *   token?: { realm: string, service: string, issuer: string, certificates: string },
 * }} RegistrySettings Paths of files. `host`: the address that it listens on, 127.0.0.1 unless it is given. `token` is the registry's own token authentication (JSON web tokens).
 */

/**
 * Writes the configuration of a Debian `docker-registry` that keeps all it has in `folder`, and gives the command that
 * runs it. Deleting is allowed; an upload survives a restart.
 *
 * @param {string} folder
 * @param {RegistrySettings} settings
 * @returns {[string, ...string[]]}
 */
export function prepareRegistry(folder, settings) {
  const { port, host = "127.0.0.1", tls, htpasswd, token } = settings;
  const auth = {
    ...(htpasswd === undefined ? {} : { htpasswd: { realm: "tests", path: htpasswd } }),
    ...(token === undefined
      ? {}
      : {
          token: {
            realm: token.realm,
            service: token.service,
            issuer: token.issuer,
            rootcertbundle: token.certificates,
          },
        }),
  };
  const config = {
    version: "0.1",
    log: { level: "warn", accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: join(folder, "storage") },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: {
      addr: `${host}:${port}`,
      secret: randomBytes(16).toString("hex"),
      ...(tls === undefined ? {} : { tls: { certificate: tls.certificate, key: tls.key } }),
    },
    ...(Object.keys(auth).length === 0 ? {} : { auth }),
  };
  const path = join(folder, "registry.json");
  // YAML's superset of JSON is what the server reads.
  writeFileSync(path, JSON.stringify(config, null, 2), { mode: 0o600 });
  return ["/usr/bin/docker-registry", "serve", path];
}

/** Where clients find it. @param {RegistrySettings} settings */
export function registryUrl({ port, host = "127.0.0.1", tls }) {
  return `${tls === undefined ? "http" : "https"}://${host}:${port}`;
}

/**
 * Whether a registry answers; one that asks for credentials does.
 *
 * @param {RegistrySettings} settings
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>}
 */
export function registryAnswers(settings, signal) {
  const { tls } = settings;
  return new Promise((resolve, reject) => {
    const url = `${registryUrl(settings)}/v2/`;
    const options = { signal, agent: false };
    const request =
      tls === undefined
        ? requestHttp(url, options)
        : requestHttps(url, { ...options, ca: readFileSync(tls.ca) });
    request.on("error", reject);
    request.on("response", (response) => {
      response.resume();
      resolve(response.statusCode === 200 || response.statusCode === 401);
    });
    request.end();
  });
}

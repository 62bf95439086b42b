/** The environment variables that tell tests where each service is. */
export const serviceVariables = /** @type {const} */ ({
  docker: ["DINP_TEST_DOCKER_SOCKET", "DINP_TEST_DOCKER_CLIENT"],
  redis: ["DINP_TEST_REDIS"],
  registry: ["DINP_TEST_REGISTRY"],
  "registry-tls": [
    "DINP_TEST_REGISTRY_TLS",
    "DINP_TEST_REGISTRY_TLS_CA",
    "DINP_TEST_REGISTRY_TLS_USER",
    "DINP_TEST_REGISTRY_TLS_PASSWORD",
  ],
  // Each the URL of an administrator.
  postgres: ["DINP_TEST_POSTGRES"],
  mysql: ["DINP_TEST_MYSQL"],
  mariadb: ["DINP_TEST_MARIADB"],
});

/** @typedef {keyof typeof serviceVariables} ServiceName */
/** @typedef {Extract<ServiceName, "postgres" | "mysql" | "mariadb">} DatabaseName */

/**
 * The services that this environment does not say the place of.
 *
 * @param {NodeJS.ProcessEnv} environment
 */
export function missingServices(environment) {
  return Object.entries(serviceVariables).flatMap(([name, variables]) =>
    variables.every((variable) => environment[variable] !== undefined) ? [] : [name],
  );
}

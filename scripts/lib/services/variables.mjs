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
});

/** @typedef {keyof typeof serviceVariables} ServiceName */

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

import process from "node:process";

/** A step that failed: one line for people, and the exit code of this process. */
export class StepFailed extends Error {
  /**
   * @param {string} message
   * @param {number} exitCode
   */
  constructor(message, exitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Runs a script's main function: its number becomes the exit code, a {@link StepFailed} one line on standard error.
 *
 * @param {() => Promise<number>} main
 */
export async function runMain(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    // A script that was interrupted has nothing to explain.
    if (error.exitCode <= 128) process.stderr.write(`\n${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}

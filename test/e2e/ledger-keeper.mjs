// Writes to the API as fast as it answers, and keeps a ledger of what was acknowledged: one line per event on standard
// output, `start|ack|lost|refused WRITER NUMBER [RELEASE]`. Runs until its standard input ends.
// Usage: node ledger-keeper.mjs API_URL TOKEN APP...
import process from "node:process";

const [apiUrl, token, ...apps] = process.argv.slice(2);
let ending = false;
process.stdin.resume();
process.stdin.once("end", () => {
  ending = true;
});

/** @param {(string | number)[]} words */
const say = (...words) => process.stdout.write(`${words.join(" ")}\n`);
/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * One write: a variable of its own, so that every acknowledged one can be looked for afterwards.
 * @param {string} app @param {number} writer @param {number} number
 */
async function write(app, writer, number) {
  say("start", writer, number);
  let response;
  try {
    response = await fetch(`${apiUrl}/v1/apps/${app}/env`, {
      method: "PATCH",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ set: { [`W${String(number)}`]: `${app}-${String(number)}` } }),
    });
    const body = /** @type {{ number: number }} */ (await response.json());
    if (response.status === 201) say("ack", writer, number, body.number);
    else say("refused", writer, number, response.status, JSON.stringify(body));
    return true;
  } catch {
    say("lost", writer, number);
    return false;
  }
}

await Promise.all(
  apps.map(async (app, writer) => {
    for (let number = 1; !ending && number <= 450; number += 1) {
      if (!(await write(app, writer, number))) await pause(50);
      while (!ending && !(await answers())) await pause(20);
    }
  }),
);

async function answers() {
  try {
    return (await fetch(`${apiUrl}/healthz`)).ok;
  } catch {
    return false;
  }
}

// Loaded before a program (`node --import`): its monotonic clock stands still while the process does, as that of a virtual
// machine that is suspended or moved. What the program does by that clock it then does as if nothing had been.
const JUMP_MS = 1_000;
const EVERY_MS = 50;

const realNow = performance.now.bind(performance);
let last = realNow();
let stoodStillMs = 0;

performance.now = () => {
  const now = realNow();
  if (now - last > JUMP_MS) stoodStillMs += now - last;
  last = now;
  return now - stoodStillMs;
};

setInterval(() => void performance.now(), EVERY_MS).unref();

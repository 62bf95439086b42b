// Loaded before a program (`node --import`): once the program was stopped for long, its monotonic clock has stood still
// meanwhile, and goes on at a tenth of the pace, as that of a virtual machine that was suspended and gets little time. By that
// clock the program does what it does as if nothing had been.
const STOPPED_MS_MIN = 15_000;
const PACE = 0.1;
const EVERY_MS = 50;

const realNow = performance.now.bind(performance);
let last = realNow();
let shown = last;
let pace = 1;

performance.now = () => {
  const now = realNow();
  if (now - last > STOPPED_MS_MIN) pace = PACE;
  else shown += (now - last) * pace;
  last = now;
  return shown;
};

setInterval(() => void performance.now(), EVERY_MS).unref();

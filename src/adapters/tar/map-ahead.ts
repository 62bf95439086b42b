/** A result that is there, or on its way. */
type Result<R> = { readonly value: R } | { readonly coming: Promise<R> };

/**
 * Each item's result, in the items' order; up to `count` are under way before they are asked for. Results that are there at
 * once come together, so that many items which wait for nothing do not cost as many turns. When the reader leaves or one
 * fails, what is under way is waited for, and no more is begun.
 */
export async function* mapAhead<T, R>(
  items: Iterable<T>,
  count: number,
  map: (item: T) => R | Promise<R>,
): AsyncGenerator<readonly R[], void, undefined> {
  const underWay: Result<R>[] = [];
  try {
    for (const item of items) {
      underWay.push(begin(map, item));
      if (underWay.length >= count) yield await takeFirst(underWay);
    }
    while (underWay.length > 0) yield await takeFirst(underWay);
  } finally {
    await Promise.allSettled(underWay.flatMap((result) => ("coming" in result ? [result.coming] : [])));
  }
}

function begin<T, R>(map: (item: T) => R | Promise<R>, item: T): Result<R> {
  try {
    const result = map(item);
    return result instanceof Promise ? comingLater(result) : { value: result };
  } catch (error) {
    return comingLater(Promise.reject<R>(error as Error));
  }
}

/** A failure is told when its turn has come, or never. */
function comingLater<R>(coming: Promise<R>): Result<R> {
  coming.catch(() => undefined);
  return { coming };
}

/** Takes all that are there from the start; where the first is not, that one alone. */
async function takeFirst<R>(underWay: Result<R>[]): Promise<readonly R[]> {
  const ready: R[] = [];
  for (let [first] = underWay; first !== undefined; [first] = underWay) {
    if ("coming" in first) {
      if (ready.length > 0) return ready;
      underWay.shift();
      return [await first.coming];
    }
    ready.push(first.value);
    underWay.shift();
  }
  return ready;
}

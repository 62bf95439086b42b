/**
 * Each item's result, in the items' order; up to `count` are under way before they are asked for. When the reader leaves or
 * one fails, what is under way is waited for, and no more is begun.
 */
export async function* mapAhead<T, R>(
  items: Iterable<T>,
  count: number,
  map: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const underWay: Promise<R>[] = [];
  try {
    for (const item of items) {
      const result = map(item);
      // A failure is told when its turn has come, or never.
      result.catch(() => undefined);
      underWay.push(result);
      const first = underWay.length < count ? undefined : underWay.shift();
      if (first !== undefined) yield await first;
    }
    for (let next = underWay.shift(); next !== undefined; next = underWay.shift()) yield await next;
  } finally {
    await Promise.allSettled(underWay);
  }
}

/** A request that was admitted, at some moment between these two. */
export interface LetThrough {
  readonly sentMs: number;
  readonly heardMs: number;
}

/** Times one attempt. @returns null when it was rejected */
export async function timed(isAdmitted: () => Promise<boolean>): Promise<LetThrough | null> {
  const sentMs = performance.now();
  return (await isAdmitted()) ? { sentMs, heardMs: performance.now() } : null;
}

/**
 * The time windows in which more requests were admitted than allowed, one text each. Allowed are `burst` requests and
 * `perSecond` for each second, wherever the window begins.
 */
export function overfullStretches(
  requests: readonly (LetThrough | null)[],
  perSecond: number,
  burst: number,
): string[] {
  const all = requests.filter((each) => each !== null);
  return all.flatMap(({ sentMs }) =>
    all.flatMap(({ heardMs }) => {
      const count = all.filter((each) => each.sentMs >= sentMs && each.heardMs <= heardMs).length;
      const seconds = (heardMs - sentMs) / 1_000;
      return count === 0 || count <= burst + perSecond * seconds ? [] : [`${count} within ${seconds.toFixed(3)} s`];
    }),
  );
}

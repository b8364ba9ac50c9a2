/** A request that was admitted, at some moment between these two. */
export interface AdmittedRequest {
  readonly sentMs: number;
  readonly answeredMs: number;
}

/** Times one attempt. @returns null when it was rejected */
export async function timeOf(isAdmitted: () => Promise<boolean>): Promise<AdmittedRequest | null> {
  const sentMs = performance.now();
  return (await isAdmitted()) ? { sentMs, answeredMs: performance.now() } : null;
}

/**
 * The time windows in which more requests were admitted than allowed, one text each. Allowed are `burst` requests and
 * `perSecond` for each second, wherever the window begins.
 */
export function overfullWindows(
  requests: readonly (AdmittedRequest | null)[],
  perSecond: number,
  burst: number,
): string[] {
  const all = requests.filter((each) => each !== null);
  return all.flatMap(({ sentMs }) =>
    all.flatMap(({ answeredMs }) => {
      const count = all.filter((each) => each.sentMs >= sentMs && each.answeredMs <= answeredMs).length;
      const seconds = (answeredMs - sentMs) / 1_000;
      return count === 0 || count <= burst + perSecond * seconds ? [] : [`${count} within ${seconds.toFixed(3)} s`];
    }),
  );
}

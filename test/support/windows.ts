/** A request that was let through, somewhere between these moments. */
export interface LetThrough {
  readonly sentMs: number;
  readonly heardMs: number;
}

/** Tries something and notes when. @returns null where it was turned away */
export async function timed(isLetThrough: () => Promise<boolean>): Promise<LetThrough | null> {
  const sentMs = performance.now();
  return (await isLetThrough()) ? { sentMs, heardMs: performance.now() } : null;
}

/** In which stretches of time more were let through than may be, in sentences: `burst` and so many a second, wherever the stretch begins. */
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

/** Cuts a list into lists of `length` items, in order; the last may be shorter. @param length at least 1 */
export function chunksOf<T>(items: readonly T[], length: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / length) }, (_, index) =>
    items.slice(index * length, (index + 1) * length),
  );
}

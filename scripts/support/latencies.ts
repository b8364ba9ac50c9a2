/** The value below which a share of all values lies; 0 where there are none. @param sorted ascending */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** The values in ascending order, as `percentile` needs them. */
export function ascending(values: Iterable<number>): Float64Array {
  return Float64Array.from(values).sort();
}

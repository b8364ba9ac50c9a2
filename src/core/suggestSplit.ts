/** How many sub-rows are suggested for a SKU, from the fewest. */
const SUB_ROWS = [2, 4, 8] as const;
const SUB_ROWS_MAX = 16;

/**
 * Says into how many sub-rows a SKU's stock should be split.
 *
 * @param lines_per_second what is asked of the SKU
 * @param perRow how many lines a second one row is meant to carry
 * @returns the fewest that carry it, or the most there may be; null when one row does
 */
export function suggestSplit(lines_per_second: number, perRow: number): number | null {
  if (lines_per_second <= perRow) return null;
  return SUB_ROWS.find((rows) => lines_per_second <= rows * perRow) ?? SUB_ROWS_MAX;
}

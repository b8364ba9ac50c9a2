/** The numbers of sub-rows that are suggested below the maximum, in ascending order. */
const SUB_ROWS = [2, 4, 8] as const;
const SUB_ROWS_MAX = 16;

/**
 * Suggests the number of sub-rows for the stock of a SKU.
 *
 * @param lines_per_second the rate of order lines that name the SKU
 * @param perRow the lines per second that one row should carry, at most
 * @returns the smallest number that carries the rate, or the maximum; null when one row carries it
 */
export function suggestSplit(lines_per_second: number, perRow: number): number | null {
  if (lines_per_second <= perRow) return null;
  return SUB_ROWS.find((rows) => lines_per_second <= rows * perRow) ?? SUB_ROWS_MAX;
}

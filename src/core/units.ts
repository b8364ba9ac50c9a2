/**
 * Adds up amounts of units, none below zero. No sum on the way is above the result, so a result of at most 2^53 is
 * exact. A larger sum is rounded to 2^53 or more: units that were read in two rows while they moved, or a SKU that
 * older gateways brought above `STOCK_LIMIT`. So a comparison with at most `STOCK_LIMIT` units is right in every case.
 */
export function sumUnits(amounts: readonly number[]): number {
  return amounts.reduce((sum, amount) => sum + amount, 0);
}

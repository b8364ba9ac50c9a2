/**
 * Adds up amounts of units, none below zero. No intermediate sum is above the result, so a result of at most 2^53 is
 * exact. A larger sum is rounded to 2^53 or more. It occurs when moving units are read in two rows, or when older
 * gateways have raised a SKU above `STOCK_LIMIT`. So a comparison with at most `STOCK_LIMIT` units is right in every
 * case.
 */
export function sumUnits(amounts: readonly number[]): number {
  return amounts.reduce((sum, amount) => sum + amount, 0);
}

import type { Counted } from './load/contract.ts';
import type { Standing } from './shelves.ts';

/**
 * Holds what the load generator was told against what stands. The requests under way at the end were answered to nobody, so
 * the number of orders that stand lies between those that were answered and those that were made.
 *
 * @param linesPerOrder each order that was taken left as many flows
 * @returns what does not hold; nothing means that the run counts
 */
export function contradictions(counted: Counted, standing: Standing, linesPerOrder: number): string[] {
  const faults: string[] = [];
  if (standing.differences.length > 0)
    faults.push(`rows that are not what their flows say: ${standing.differences.slice(0, 5).join(', ')}`);
  if (standing.held > 0) faults.push(`${standing.held} units are still held`);
  const drop = standing.opening - standing.leaved - standing.held;
  if (standing.deducted !== drop) faults.push(`flows of ${standing.deducted} units, a stock drop of ${drop}`);
  const orders = standing.flowCount / linesPerOrder;
  // A replay is answered without a new flow, so up to all of them are left out of those that must stand.
  const answered = counted.requests - counted.refused - counted.again;
  if (orders < answered) faults.push(`${orders} orders stand, ${answered} were answered as taken`);
  if (orders > counted.made) faults.push(`${orders} orders stand, ${counted.made} were made`);
  if (counted.requests === 0) faults.push('no request was answered');
  return faults;
}

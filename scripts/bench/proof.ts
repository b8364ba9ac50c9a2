import type { Counted } from './load/contract.ts';
import type { LineSums, StockSums } from './stock.ts';

/**
 * Compares the answers that the load generator counted with the rows. The generator reads no answer to the requests
 * that ran at the end, so the number of stored orders lies between the answered and the sent ones.
 *
 * @param linesPerOrder the number of flows of each accepted order
 * @returns the contradictions; without any, the run counts
 */
export function proofFaults(counted: Counted, status: StockSums, linesPerOrder: number): string[] {
  const faults: string[] = [];
  if (status.differences.length > 0)
    faults.push(`stock rows that differ from their flows: ${status.differences.slice(0, 5).join(', ')}`);
  if (status.held > 0) faults.push(`${status.held} units are still held`);
  const drop = status.opening - status.leaved - status.held;
  if (status.deducted !== drop) faults.push(`flows of ${status.deducted} units, a stock drop of ${drop}`);
  const orders = status.flowCount / linesPerOrder;
  if (!areWhole(status.lines, linesPerOrder)) {
    const counts = [...status.lines]
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([line, { count }]) => `${count} have line ${line}`);
    faults.push(`orders are stored in part: ${counts.join(', ')}`);
  }
  // A replay is answered without a new flow. Any of the repeated orders may have been one, so none of them is required.
  const answered = counted.requests - counted.refused - counted.repeated;
  if (orders < answered) faults.push(`${orders} orders are stored, ${answered} were answered as accepted`);
  if (orders > counted.made) faults.push(`${orders} orders are stored, ${counted.made} were sent`);
  if (counted.requests === 0) faults.push('no request was answered');
  return faults;
}

/** Each line number has the same orders, so every order is stored as a whole. */
function areWhole(lines: ReadonlyMap<string, LineSums>, linesPerOrder: number): boolean {
  const [first, ...others] = lines.values();
  if (first === undefined) return true;
  const isSame = ({ count, checksum }: LineSums): boolean => count === first.count && checksum === first.checksum;
  return lines.size === linesPerOrder && others.every(isSame);
}

import type { Books } from '../../src/core/books.ts';
import type { Sale } from './day.ts';

/** What the shops remember of their day: the other side of the books. */
export interface Ledger {
  readonly latenciesMs: number[];
  readonly deducted: Sale[];
  readonly refused: Sale[];
  /** Requests sent again after an answer had come, and answered as the first time. */
  replayed: number;
  /** Attempts that ended in 503 or in no answer, and were sent again. */
  retried: number;
}

/** What the gateway says is left of each SKU when the day is over. */
export type Leftovers = ReadonlyMap<string, number>;

/**
 * Compares the shops' memory with the shards' books.
 *
 * @returns every contradiction in a sentence; none means that the day balances
 */
export function contradictions(
  ledger: Ledger,
  opening: ReadonlyMap<string, number>,
  leftovers: Leftovers,
  books: readonly Books[],
): string[] {
  const found: string[] = [];
  const sold = new Map<string, number>();
  for (const { sku_id, quantity } of ledger.deducted) sold.set(sku_id, (sold.get(sku_id) ?? 0) + quantity);
  for (const [sku_id, units] of opening) {
    const expected = units - (sold.get(sku_id) ?? 0);
    const left = leftovers.get(sku_id);
    if (expected < 0) found.push(`${sku_id}: ${-expected} units sold that were not there`);
    if (left !== expected) found.push(`${sku_id}: ${left} left, the shops count ${expected}`);
  }
  // Nothing came back during the day, so what was too little at the end was too little when it was refused.
  for (const { sku_id, order_detail_id, quantity } of ledger.refused) {
    const left = leftovers.get(sku_id) ?? 0;
    if (left >= quantity) found.push(`${order_detail_id}: refused ${quantity} of ${sku_id}, of which ${left} are left`);
  }
  const flows = books.reduce((sum, { flow_count }) => sum + flow_count, 0);
  if (flows !== ledger.deducted.length) found.push(`${flows} flows stand, the shops count ${ledger.deducted.length}`);
  books.forEach(({ differences }, shard) => {
    for (const { sku_id, leaved, expected } of differences) {
      found.push(`shard ${shard}, ${sku_id}: ${leaved} left, the journal says ${expected}`);
    }
  });
  return found;
}

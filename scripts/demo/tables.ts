import type { Books } from '../../src/core/books/books.ts';
import { printTable } from '../../src/commands/support/report.ts';
import type { Cart } from '../replay/carts.ts';
import { LATENCY_NOTE, ORDER_FIGURES } from '../replay/orderFigures.ts';
import type { ShopRecord, UnitsLeft } from './shopRecord.ts';

/** The results of a day. */
export interface Day {
  readonly carts: readonly Cart[];
  readonly ledger: ShopRecord;
  /** Attempts without a final answer. */
  readonly retryCount: number;
  /** From the first request to the last answer. */
  readonly seconds: number;
  readonly leftovers: UnitsLeft;
}

/** The table of the day. Orders that were sent again after their answer do not count in its rates and latencies. */
export function dayRows({ carts, ledger, retryCount, seconds, leftovers }: Day): [title: string, value: string][] {
  const linesIn = (some: readonly Cart[]): number => some.reduce((sum, { lines }) => sum + lines.length, 0);
  return [
    ['carts sent', `${carts.length} with ${linesIn(carts)} lines`],
    ['sold whole', `${ledger.sold.length} with ${linesIn(ledger.sold)} lines`],
    ['refused, not enough of a line left', `${ledger.refused.length}`],
    ['sent again, same answer', `${ledger.replayed}`],
    ['tried again without a final answer', `${retryCount}`],
    ['SKUs sold out', `${[...leftovers.values()].filter((left) => left === 0).length}`],
    ['run time', `${seconds.toFixed(1)} s`],
    ...ORDER_FIGURES.map(([title, value]): [string, string] => [title, value(ledger.answered, seconds)]),
  ];
}

/** Prints the books of each shard, then the table of the day. */
export function printDay(day: Day, books: readonly Books[]): void {
  printTable(
    ['shard', 'SKUs', 'opened', 'deducted', 'left', 'flows', 'balances'],
    books.map((book, shard) => [
      String(shard).padStart(2, '0'),
      book.sku_count,
      String(book.opening),
      String(book.deducted),
      String(book.leaved),
      book.flow_count,
      book.differences.length === 0 ? 'yes' : 'NO',
    ]),
  );
  printTable(['the day', ''], dayRows(day));
  console.log(LATENCY_NOTE);
}

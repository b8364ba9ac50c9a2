import { chunksOf } from '../../core/async/chunksOf.ts';
import type { CartSale, CartSalesPage } from '../../core/books/cartSales.ts';
import { cartDifference } from '../../core/books/reconciliation.ts';
import type { StockDifference } from '../../core/books/reconciliation.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { cartText } from '../carts/cartBatches.ts';
import { byRecordShard } from '../carts/recordShard.ts';
import { KEYS_AT_A_TIME } from './cartAuditPorts.ts';
import type { CartAuditPorts } from './cartAuditPorts.ts';

/** Sales in one page. Per shard, two pages are in memory at once. */
const SALES_AT_A_TIME = 2_000;

/**
 * Finds the lines that transactions sold on a shard although the coordinator has no record, or an aborted one. It reads
 * the flows first: a line is sold after the record was committed, so while traffic runs the record of each sold line is
 * there.
 *
 * @param only some SKUs, or null: all
 */
export async function auditSales(
  ports: CartAuditPorts,
  shard: ShardIndex,
  only: readonly string[] | null,
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
  const { auditor, readFailures } = ports;
  const read = (after: CartSalesPage['next']): Promise<CartSalesPage | null> =>
    readFailures.tryRead(shard, () =>
      auditor.readTransactionSales(shard, { after, max: SALES_AT_A_TIME, sku_ids: only }, deadlineMs),
    );
  const found: StockDifference[] = [];
  for (let nextPage: ReturnType<typeof read> | null = read(null); nextPage !== null;) {
    const page: CartSalesPage | null = await nextPage;
    nextPage = page === null || page.next === null ? null : read(page.next);
    for (const sale of await soldWithoutRecord(ports, page?.sales ?? [], deadlineMs))
      found.push(cartDifference('aborted_line', sale, shard, { expected: 0, actual: sale.quantity }));
  }
  return found;
}

/**
 * Selects the sales whose transaction has no record, or an aborted one. Those whose coordinator cannot be read are not
 * judged.
 */
async function soldWithoutRecord(
  { routing, auditor, readFailures }: CartAuditPorts,
  sales: readonly CartSale[],
  deadlineMs: DeadlineMs,
): Promise<CartSale[]> {
  const found: CartSale[] = [];
  for (const [coordinator, ofCoordinator] of byRecordShard(routing, sales)) {
    const carts = new Map(ofCoordinator.map((sale) => [cartText(sale), sale]));
    const isSold = new Map<string, boolean>();
    for (const some of chunksOf([...carts.values()], KEYS_AT_A_TIME)) {
      const read = await readFailures.readUnlessFailed(coordinator, () =>
        auditor.readDecisions(coordinator, some, deadlineMs),
      );
      if (read === null) break;
      for (const cart of some) isSold.set(cartText(cart), false);
      // A record with an unknown state is reported as unreadable.
      for (const record of read) isSold.set(cartText(record), record.state !== 'aborted');
    }
    found.push(...ofCoordinator.filter((sale) => isSold.get(cartText(sale)) === false));
  }
  return found;
}

import { skusOf } from '../../core/operation.ts';
import type { Operation } from '../../core/operation.ts';
import type { StaleLayout } from '../../core/outcome.ts';
import type { Change } from '../connection/commitChange.ts';
import { isAnySplit } from '../sql/stock/isAnySplit.ts';

/**
 * The same change, as long as none of its SKUs is split or was split. The ids of such a SKU may be on other shards, and
 * its rows may take no ids from a write that does not name the layout. The check comes last, so that rows are locked in
 * the usual order.
 */
export function unlessSplit<Outcome>(operation: Operation, change: Change<Outcome>): Change<Outcome | StaleLayout> {
  const sku_ids = skusOf(operation);
  return {
    async attempt(transaction) {
      const ending = await change.attempt(transaction);
      return (await isAnySplit(transaction, sku_ids)) ? { keep: false, value: { is: 'moved', sku_ids } } : ending;
    },
    resolveInDoubt: (transaction) => change.resolveInDoubt(transaction),
  };
}

import { compareIdentifiers } from '../../core/identifier.ts';
import type { WrongShard } from '../../core/outcome.ts';
import type { OpenedMany, OpeningStock } from '../../core/ports/stockOpener.ts';
import { Raced } from '../connection/failures.ts';
import type { Change } from '../connection/commitChange.ts';
import { insertOpenings, lockOpenings, readOpenings } from '../sql/stock/openings.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';

/** Opens many SKUs in one transaction. SKUs that exist already are not changed. */
export function openMany(stocks: readonly OpeningStock[]): Change<OpenedMany | WrongShard> {
  const sorted = [...stocks].sort((a, b) => compareIdentifiers(a.sku_id, b.sku_id));
  const sku_ids = sorted.map(({ sku_id }) => sku_id);
  let openedNow = 0;
  const opened = (existing: ReadonlyMap<string, number>): OpenedMany => {
    const otherwise = sorted.flatMap(({ sku_id, leaved_amount: wanted }) => {
      const leaved_amount = existing.get(sku_id) ?? wanted;
      return leaved_amount === wanted ? [] : [{ sku_id, leaved_amount }];
    });
    return { is: 'opened', openedNow, conflicting: otherwise };
  };
  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, sku_ids))) return { keep: false, value: { is: 'not_mine' } };
      const existing = await readOpenings(transaction, sku_ids);
      const absent = sorted.filter(({ sku_id }) => !existing.has(sku_id));
      openedNow = absent.length;
      if (absent.length === 0) return { keep: false, value: opened(existing) };
      if (!(await insertOpenings(transaction, absent)))
        throw new Raced('another transaction opened one of the SKUs between two statements');
      return { keep: true, value: opened(existing) };
    },

    async resolveInDoubt(transaction) {
      const existing = await lockOpenings(transaction, sku_ids);
      return existing.size === sku_ids.length ? opened(existing) : null;
    },
  };
}

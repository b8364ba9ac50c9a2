import { compareIdentifiers } from '../../core/identifier.ts';
import type { NotMine } from '../../core/outcome.ts';
import type { OpenedMany, OpeningStock } from '../../core/ports.ts';
import { Raced } from '../failures.ts';
import type { Change } from '../settle.ts';
import { insertOpenings, lockOpenings, readOpenings } from '../sql/openings.ts';
import { ownSlots } from '../sql/ownSlots.ts';

/** Puts many SKUs on the shelf in one transaction. Those that stand are left as they are. */
export function openMany(stocks: readonly OpeningStock[]): Change<OpenedMany | NotMine> {
  const sorted = [...stocks].sort((a, b) => compareIdentifiers(a.sku_id, b.sku_id));
  const sku_ids = sorted.map(({ sku_id }) => sku_id);
  let openedNow = 0;
  const opened = (standing: ReadonlyMap<string, number>): OpenedMany => {
    const otherwise = sorted.flatMap(({ sku_id, leaved_amount: wanted }) => {
      const leaved_amount = standing.get(sku_id) ?? wanted;
      return leaved_amount === wanted ? [] : [{ sku_id, leaved_amount }];
    });
    return { is: 'opened', openedNow, otherwise };
  };
  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, sku_ids))) return { keep: false, value: { is: 'not_mine' } };
      const standing = await readOpenings(transaction, sku_ids);
      const absent = sorted.filter(({ sku_id }) => !standing.has(sku_id));
      openedNow = absent.length;
      if (absent.length === 0) return { keep: false, value: opened(standing) };
      if (!(await insertOpenings(transaction, absent))) throw new Raced('somebody opened one of the SKUs meanwhile');
      return { keep: true, value: opened(standing) };
    },

    async recall(transaction) {
      const standing = await lockOpenings(transaction, sku_ids);
      return standing.size === sku_ids.length ? opened(standing) : null;
    },
  };
}

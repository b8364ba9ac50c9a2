import type { Shard } from '../shard.ts';
import { readHolds } from '../sql/holds.ts';
import { WORK_MS } from '../transaction.ts';
import type { Errand } from './queue.ts';

/** An operation that lacks only units that are held. */
export interface Lacker {
  readonly errand: Errand;
  readonly sku_ids: readonly string[];
}

/** Tells those who lack only what carts hold which carts these are. */
export class HolderNamer {
  /** Who lacked units that carts held, when no such cart was found. */
  readonly #lookedOnce = new WeakSet<Errand>();

  /**
   * @param lacking at least one
   * @returns those to be decided once more: their holds went between two looks
   * @throws Unavailable, ServerError or ConnectionLost, and then nobody was told
   */
  async nameTo(shard: Shard, lacking: readonly Lacker[]): Promise<readonly Errand[]> {
    const untilMs = Math.min(performance.now() + WORK_MS, ...lacking.map(({ errand }) => errand.deadlineMs));
    const wanted = [...new Set(lacking.flatMap(({ sku_ids }) => sku_ids))];
    const holds = await shard.pool.lend(untilMs, (connection) =>
      readHolds({ rows: (sql, values) => connection.rows(sql, values, untilMs) }, wanted),
    );
    const again: Errand[] = [];
    for (const { errand, sku_ids } of lacking) {
      const ofErrand = holds.filter(({ sku_id }) => sku_ids.includes(sku_id));
      if (ofErrand.length > 0) errand.resolve({ is: 'pending', holds: ofErrand });
      else if (this.#lookedOnce.has(errand))
        errand.resolve({ is: 'not_done', reason: 'units are held, and nobody says by whom' });
      else again.push(errand);
    }
    for (const errand of again) this.#lookedOnce.add(errand);
    return again;
  }
}

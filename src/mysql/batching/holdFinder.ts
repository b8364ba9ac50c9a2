import type { Hold, ShardIndex } from '../../core/types.ts';
import type { Shard } from '../shard.ts';
import { readHolds } from '../sql/flows/holds.ts';
import { WORK_MS } from '../connection/transaction.ts';
import type { QueuedOperation } from './batchQueue.ts';

/** A hold that blocks an operation, and the shard on which it was read. */
type BlockingHold = Hold & { readonly shard: ShardIndex };

/** An operation that is short only by units that are held. */
export interface ShortOperation {
  readonly queued: QueuedOperation;
  readonly sku_ids: readonly string[];
}

/** Answers operations that are short only by held units with the carts that hold them. */
export class HoldFinder {
  /** Operations that were short by held units when no cart with such a hold was found. */
  readonly #readOnce = new WeakSet<QueuedOperation>();

  /**
   * @param short at least one
   * @returns the operations to decide once more: their holds ended between the two reads
   * @throws Unavailable, ServerError or ConnectionLost; then no operation was resolved
   */
  async answerWithHolds(short: readonly ShortOperation[]): Promise<readonly QueuedOperation[]> {
    const holds = await readBlockingHolds(short);
    const again: QueuedOperation[] = [];
    for (const { queued, sku_ids } of short) {
      const itsHolds = holds.filter(({ sku_id }) => sku_ids.includes(sku_id));
      if (itsHolds.length > 0) queued.resolve({ is: 'pending', holds: itsHolds });
      else if (this.#readOnce.has(queued))
        queued.resolve({ is: 'not_done', reason: 'units are held, but no cart was found that holds them' });
      else again.push(queued);
    }
    for (const queued of again) this.#readOnce.add(queued);
    return again;
  }
}

async function readBlockingHolds(short: readonly ShortOperation[]): Promise<readonly BlockingHold[]> {
  const untilMs = Math.min(performance.now() + WORK_MS, ...short.map(({ queued }) => queued.deadlineMs));
  const wanted = new Map<Shard, Set<string>>();
  for (const { queued, sku_ids } of short)
    for (const { shard } of queued.parts) wanted.set(shard, new Set([...(wanted.get(shard) ?? []), ...sku_ids]));
  const read = [...wanted].map(async ([shard, sku_ids]) => {
    const holds = await shard.pool.lend(untilMs, (connection) =>
      readHolds({ rows: (sql, values) => connection.rows(sql, values, untilMs) }, [...sku_ids]),
    );
    return holds.map((hold): BlockingHold => ({ ...hold, shard: shard.index }));
  });
  return (await Promise.all(read)).flat();
}

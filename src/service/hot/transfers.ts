import { RowsUnavailable } from '../../core/ports/hotRows.ts';
import type { HotRows } from '../../core/ports/hotRows.ts';
import type { PlannedTransfer } from '../../core/hot/rebalancePlan.ts';
import type { DeadlineMs, ShardIndex, Transfer } from '../../core/types.ts';
import type { StockEngine } from '../../core/ports/stockEngine.ts';

/** The ports for moving units. */
export interface TransferPorts {
  readonly engine: StockEngine;
  readonly rows: HotRows;
  /** Makes the id of a transfer: 32 hexadecimal digits, unique among all gateways. */
  readonly newId: () => string;
  /** Receives errors that are not a shard's failure. */
  readonly onFault: (error: unknown) => void;
}

/** The result of sending one move. */
export interface SentMove {
  readonly move: PlannedTransfer;
  /** Null: the units have not left, or that is in doubt. In the second case a sweeper credits them if they left. */
  readonly transfer: Transfer | null;
  /** Whether the row had fewer units, or belongs to another layout now. */
  readonly isShort: boolean;
}

/** Takes units off their rows, on all shards at once. */
export async function sendAll(
  { engine, newId }: TransferPorts,
  sku_id: string,
  moves: readonly PlannedTransfer[],
  deadlineMs: DeadlineMs,
): Promise<SentMove[]> {
  const groups = new Map<ShardIndex, PlannedTransfer[]>();
  for (const move of moves) groups.set(move.from.shard, [...(groups.get(move.from.shard) ?? []), move]);
  const sent = [...groups].map(async ([shard, ofShard]) => {
    const transfers = ofShard.map(({ from, to, amount }): Transfer => ({
      sku_id,
      transfer_id: newId(),
      amount,
      from,
      to,
    }));
    const sends = transfers.map(
      (transfer, place) => ({ kind: 'send', ...transfer, epoch: ofShard[place]?.epoch ?? null }) as const,
    );
    const outcomes = await engine.apply(shard, sends, deadlineMs);
    return ofShard.map((move, place): SentMove => {
      const outcome = outcomes[place];
      const transfer = outcome?.is === 'applied' ? (transfers[place] ?? null) : null;
      return { move, transfer, isShort: outcome?.is === 'refused' || outcome?.is === 'moved' };
    });
  });
  return (await Promise.all(sent)).flat();
}

/**
 * Credits transfers to their rows. It may be called any number of times for one transfer. A sweeper credits those that
 * do not get there now.
 */
export async function receiveAll(
  ports: TransferPorts,
  transfers: readonly Transfer[],
  deadlineMs: DeadlineMs,
): Promise<void> {
  const received = await onEachShard(
    ports,
    transfers,
    ({ to }) => to.shard,
    async (shard, ofShard) => {
      const operations = ofShard.map(
        ({ sku_id, transfer_id, amount, from, to }) =>
          ({ kind: 'receive', sku_id, transfer_id, amount, from, to }) as const,
      );
      const outcomes = await ports.engine.apply(shard, operations, deadlineMs);
      return ofShard.filter((_, place) => outcomes[place]?.is === 'applied');
    },
  );
  // Recorded as cleared where they left. One that is not recorded is credited once more, which changes nothing.
  await onEachShard(
    ports,
    received,
    ({ from }) => from.shard,
    async (shard, ofShard) => {
      await ports.rows.clearTransfers(shard, ofShard, deadlineMs);
      return [];
    },
  );
}

/** Runs work on the transfers of each shard. An unreachable shard delays no other. */
async function onEachShard(
  { onFault }: TransferPorts,
  transfers: readonly Transfer[],
  shardOf: (transfer: Transfer) => ShardIndex,
  work: (shard: ShardIndex, ofShard: readonly Transfer[]) => Promise<readonly Transfer[]>,
): Promise<readonly Transfer[]> {
  const groups = new Map<ShardIndex, Transfer[]>();
  for (const transfer of transfers) groups.set(shardOf(transfer), [...(groups.get(shardOf(transfer)) ?? []), transfer]);
  const done = await Promise.allSettled([...groups].map(([shard, ofShard]) => work(shard, ofShard)));
  for (const each of done)
    if (each.status === 'rejected' && !(each.reason instanceof RowsUnavailable)) onFault(each.reason);
  return done.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
}

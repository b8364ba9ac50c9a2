import type { HotRows } from '../../core/hotPorts.ts';
import type { Move } from '../../core/moves.ts';
import type { DeadlineMs, ShardIndex, Transfer } from '../../core/nouns.ts';
import type { StockEngine } from '../../core/ports.ts';

/** What units are moved with. */
export interface TransferParts {
  readonly engine: StockEngine;
  readonly rows: HotRows;
  /** Makes the id of a transfer: 32 hexadecimal digits that nobody else makes. */
  readonly newId: () => string;
}

/** What became of the sending of some moves. */
export interface Sent {
  readonly move: Move;
  /** Null: its units are where they were, or nobody knows whether they left; then a sweeper brings them. */
  readonly transfer: Transfer | null;
  /** Whether the row had not so many. */
  readonly isShort: boolean;
}

/** Takes units off their rows, all at once. */
export async function sendAll({ engine, newId }: TransferParts, sku_id: string, moves: readonly Move[], deadlineMs: DeadlineMs): Promise<Sent[]> {
  const groups = new Map<ShardIndex, Move[]>();
  for (const move of moves) groups.set(move.from.shard, [...(groups.get(move.from.shard) ?? []), move]);
  const sent = [...groups].map(async ([shard, ofShard]) => {
    const transfers = ofShard.map(({ from, to, amount }): Transfer => ({ sku_id, transfer_id: newId(), amount, from, to }));
    const outcomes = await engine.apply(shard, transfers.map((transfer) => ({ kind: 'send', ...transfer }) as const), deadlineMs);
    return ofShard.map((move, place): Sent => {
      const outcome = outcomes[place];
      const transfer = outcome?.is === 'applied' ? (transfers[place] ?? null) : null;
      return { move, transfer, isShort: outcome?.is === 'refused' };
    });
  });
  return (await Promise.all(sent)).flat();
}

/** Puts units that are on their way into their rows, however often this is asked for. What does not get there now is the sweepers'. */
export async function receiveAll(parts: TransferParts, transfers: readonly Transfer[], deadlineMs: DeadlineMs): Promise<void> {
  const groups = new Map<ShardIndex, Transfer[]>();
  for (const transfer of transfers) groups.set(transfer.to.shard, [...(groups.get(transfer.to.shard) ?? []), transfer]);
  const received = [...groups].map(async ([shard, ofShard]) => {
    const outcomes = await parts.engine.apply(shard, ofShard.map(({ sku_id, transfer_id, amount, from, to }) => ({ kind: 'receive', sku_id, transfer_id, amount, from, to }) as const), deadlineMs);
    return ofShard.filter((_, place) => outcomes[place]?.is === 'applied');
  });
  await settleAll(parts, (await Promise.all(received)).flat(), deadlineMs);
}

/** Notes where they left that transfers have come in. */
export async function settleAll({ rows }: Pick<TransferParts, 'rows'>, transfers: readonly Transfer[], deadlineMs: DeadlineMs): Promise<void> {
  const groups = new Map<ShardIndex, Transfer[]>();
  for (const transfer of transfers) groups.set(transfer.from.shard, [...(groups.get(transfer.from.shard) ?? []), transfer]);
  await Promise.all([...groups].map(([shard, ofShard]) => rows.settleTransfers(shard, ofShard, deadlineMs)));
}

import { RowsAway } from '../../core/hotPorts.ts';
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
  /** Called with what is no failure of a shard. */
  readonly onFault: (error: unknown) => void;
}

/** What became of the sending of some moves. */
export interface Sent {
  readonly move: Move;
  /** Null: its units are where they were, or nobody knows whether they left; then a sweeper brings them. */
  readonly transfer: Transfer | null;
  /** Whether the row had not so many, or is laid out otherwise by now. */
  readonly isShort: boolean;
}

/** Takes units off their rows, all at once. */
export async function sendAll(
  { engine, newId }: TransferParts,
  sku_id: string,
  moves: readonly Move[],
  deadlineMs: DeadlineMs,
): Promise<Sent[]> {
  const groups = new Map<ShardIndex, Move[]>();
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
    return ofShard.map((move, place): Sent => {
      const outcome = outcomes[place];
      const transfer = outcome?.is === 'applied' ? (transfers[place] ?? null) : null;
      return { move, transfer, isShort: outcome?.is === 'refused' || outcome?.is === 'moved' };
    });
  });
  return (await Promise.all(sent)).flat();
}

/** Puts units that are on their way into their rows, however often this is asked for. What does not get there now is the sweepers'. */
export async function receiveAll(
  parts: TransferParts,
  transfers: readonly Transfer[],
  deadlineMs: DeadlineMs,
): Promise<void> {
  const received = await onEachShard(
    parts,
    transfers,
    ({ to }) => to.shard,
    async (shard, ofShard) => {
      const operations = ofShard.map(
        ({ sku_id, transfer_id, amount, from, to }) =>
          ({ kind: 'receive', sku_id, transfer_id, amount, from, to }) as const,
      );
      const outcomes = await parts.engine.apply(shard, operations, deadlineMs);
      return ofShard.filter((_, place) => outcomes[place]?.is === 'applied');
    },
  );
  // Noted where they left; one that is not noted is brought in once more, which changes nothing.
  await onEachShard(
    parts,
    received,
    ({ from }) => from.shard,
    async (shard, ofShard) => {
      await parts.rows.settleTransfers(shard, ofShard, deadlineMs);
      return [];
    },
  );
}

/** Does something with transfers shard by shard; one that is away holds up no other. */
async function onEachShard(
  { onFault }: TransferParts,
  transfers: readonly Transfer[],
  shardOf: (transfer: Transfer) => ShardIndex,
  work: (shard: ShardIndex, ofShard: readonly Transfer[]) => Promise<readonly Transfer[]>,
): Promise<readonly Transfer[]> {
  const groups = new Map<ShardIndex, Transfer[]>();
  for (const transfer of transfers) groups.set(shardOf(transfer), [...(groups.get(shardOf(transfer)) ?? []), transfer]);
  const done = await Promise.allSettled([...groups].map(([shard, ofShard]) => work(shard, ofShard)));
  for (const each of done) if (each.status === 'rejected' && !(each.reason instanceof RowsAway)) onFault(each.reason);
  return done.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
}

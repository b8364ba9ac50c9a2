import type { TransferTrace } from '../../../core/ports/restoredShards.ts';
import type { SplitLayout, SplitSkus } from '../../../core/restore/splitSkus.ts';
import type { DeadlineMs, ShardIndex } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import type { Layout } from '../../../core/hot/layout.ts';
import { withLists } from '../hot/layoutLists.ts';
import type { LayoutLists } from '../hot/layoutLists.ts';
import { DIRECTION } from '../batch/applyBatch.ts';
import { bytesOf, textOf } from '../text/bytes.ts';

/**
 * These statements read whole tables: nothing is sold from a restored shard, and a query of once a year has no index.
 */
const TRANSFERS = `
SELECT sku_id, transfer_id, direction, amount, sub_row, other_sub_row, is_open FROM transfer
 WHERE other_shard = ? AND created_at >= FROM_UNIXTIME(? / 1000)`;
const ROWS = `SELECT sku_id, sub_row, epoch, intake <> 'none' AS is_open FROM stock WHERE epoch > 0`;
const LAYOUTS =
  'SELECT sku_id, state, epoch, last_epoch, places, next_places, earlier, shards, ' +
  'CAST(UNIX_TIMESTAMP(changed_at) * 1000 AS SIGNED) AS changed_at_ms FROM hot_sku';
const FIND_TRANSFERS = 'SELECT transfer_id FROM transfer WHERE direction = ? AND transfer_id IN (?)';
/** Far more than a row changes between two backups. */
const YOUNGER = 1_000_000_000;
const YOUNGER_LAYOUT = 1_000_000;

type TransferRow = Record<'sku_id' | 'transfer_id', Buffer> &
  Record<'amount' | 'sub_row' | 'other_sub_row' | 'is_open', number> & {
    readonly direction: TransferTrace['direction'];
  };
type SplitRowRow = Record<'sub_row' | 'epoch' | 'is_open', number> & { readonly sku_id: Buffer };
type LayoutRow = Record<'epoch' | 'last_epoch' | 'changed_at_ms', number> &
  LayoutLists & { readonly sku_id: Buffer; readonly state: Layout['state'] };

/**
 * Transfers from this shard to another one, and from there to here.
 *
 * @param sinceMs in milliseconds since 1970, by this shard's clock
 */
export async function readTransfers(
  connection: Connection,
  shard: ShardIndex,
  other: ShardIndex,
  sinceMs: number,
  deadlineMs: DeadlineMs,
): Promise<TransferTrace[]> {
  const rows = await connection.rows<TransferRow>(TRANSFERS, [other, sinceMs], deadlineMs);
  return rows.map(({ sku_id, transfer_id, direction, amount, sub_row, other_sub_row, is_open }) => {
    const [here, there] = [
      { shard, sub_row },
      { shard: other, sub_row: other_sub_row },
    ];
    const [from, to] = direction === 'out' ? [here, there] : [there, here];
    return {
      sku_id: textOf(sku_id),
      transfer_id: transfer_id.toString('hex'),
      amount: Number(amount),
      from,
      to,
      direction,
      isOpen: is_open === 1,
    };
  });
}

/**
 * The rows and the layouts of split SKUs that a shard has.
 *
 * @param shardCount shards from this number on do not exist
 */
export async function readSplits(
  connection: Connection,
  shardCount: number,
  deadlineMs: DeadlineMs,
): Promise<SplitSkus> {
  const rows = await connection.rows<SplitRowRow>(ROWS, [], deadlineMs);
  const layouts = await connection.rows<LayoutRow>(LAYOUTS, [], deadlineMs);
  const readable: [string, SplitLayout][] = [];
  const unreadable: { sku_id: string; reason: string }[] = [];
  for (const row of layouts) {
    const { state, epoch, last_epoch: lastEpoch, changed_at_ms } = row;
    const layout = withLists({ state, epoch, lastEpoch, changedAtMs: Number(changed_at_ms) }, row, shardCount);
    if ('unreadable' in layout) unreadable.push({ sku_id: textOf(row.sku_id), reason: layout.unreadable });
    else readable.push([textOf(row.sku_id), layout]);
  }
  return {
    rows: rows.map(({ sku_id, sub_row, epoch, is_open }) => ({
      sku_id: textOf(sku_id),
      sub_row,
      epoch,
      isOpen: is_open === 1,
    })),
    layouts: new Map(readable),
    unreadable,
  };
}

/** Those of some transfers that exist on one side. @param transfer_ids at least one */
export async function findTransfers(
  connection: Connection,
  transfer_ids: readonly string[],
  direction: TransferTrace['direction'],
  deadlineMs: DeadlineMs,
): Promise<Set<string>> {
  const rows = await connection.rows<{ transfer_id: Buffer }>(
    FIND_TRANSFERS,
    [DIRECTION[direction], transfer_ids.map((transfer_id) => Buffer.from(transfer_id, 'hex'))],
    deadlineMs,
  );
  return new Set(rows.map(({ transfer_id }) => transfer_id.toString('hex')));
}

/** Makes all rows younger than the lost rows that caches remember: a cache replaces a reading only by a younger one. */
export async function raiseVersions(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
  await connection.run(`UPDATE stock SET version = version + ${YOUNGER}`, [], deadlineMs);
  await connection.run(`UPDATE hot_sku SET revision = revision + ${YOUNGER_LAYOUT}`, [], deadlineMs);
}

/** Pauses the sale of SKUs. @param sku_ids at least one */
export async function pauseSkus(
  connection: Connection,
  sku_ids: readonly string[],
  deadlineMs: DeadlineMs,
): Promise<void> {
  await connection.run(
    "UPDATE stock FORCE INDEX (PRIMARY) SET sale_state = 'paused', version = version + 1 WHERE sku_id IN (?)",
    [sku_ids.map(bytesOf)],
    deadlineMs,
  );
}

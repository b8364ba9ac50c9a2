import type { HotRows, OpenTransfer } from '../../core/ports/hotRows.ts';
import type { Layout } from '../../core/hot/layout.ts';
import type { RowState } from '../../core/hot/rebalancePlan.ts';
import type { DeadlineMs } from '../../core/types.ts';
import { sumUnits } from '../../core/units.ts';

/** All rows of a split SKU, each read at about the same time. */
export interface AllRows {
  readonly rows: readonly RowState[];
  /** Units that left one row, with no record that they came to another. */
  readonly transfers: readonly OpenTransfer[];
  /** Units left in the rows. */
  readonly leaved: number;
  /** The part of `leaved` that may be sold. */
  readonly sellable: number;
  /** Units that carts hold. */
  readonly held: number;
  /** Why a shard could not be read, so that there may be more units than these; null: all were read. */
  readonly fault: string | null;
}

/** Reads all rows of a split SKU, from all its shards at once. */
export async function readAllRows(rows: HotRows, { sku_id, shards }: Layout, deadlineMs: DeadlineMs): Promise<AllRows> {
  const answers = await Promise.all(shards.map((shard) => rows.readRows(shard, sku_id, deadlineMs)));
  const found = answers.flatMap((answer) => (answer.is === 'found' ? [answer] : []));
  const read = found.flatMap((answer) => answer.rows);
  const failure = answers.find((answer) => answer.is === 'not_done');
  return {
    rows: read,
    transfers: found.flatMap(({ transfers }) => transfers),
    leaved: sumUnits(read.map((row) => row.leaved_amount)),
    sellable: sumUnits(read.map((row) => row.sellable_amount)),
    held: sumUnits(read.map((row) => row.held_amount)),
    fault: failure?.is === 'not_done' ? failure.reason : null,
  };
}

/**
 * Whether two reads saw the same rows, complete and with no units on their way. Then the SKU was in that state at some
 * moment between the two, although no two of its rows were read at the same moment.
 */
export function isSteady(first: AllRows, second: AllRows): boolean {
  if (first.fault !== null || second.fault !== null || first.transfers.length + second.transfers.length > 0)
    return false;
  const versions = new Map(first.rows.map((row) => [`${row.shard} ${row.sub_row}`, row.version]));
  return (
    first.rows.length === second.rows.length &&
    second.rows.every((row) => versions.get(`${row.shard} ${row.sub_row}`) === row.version)
  );
}

/** Whether a row takes new ids in a layout. */
export function takesNewIdsIn({ epoch, placement }: Layout): (row: RowState) => boolean {
  return (row) => row.isOpen && row.epoch === epoch && placement[row.sub_row] === row.shard;
}

/**
 * Whether all rows of a layout are open in it. If not, another layout may have replaced it, and its units may lie on
 * shards that this one does not name.
 */
export function areAllRowsOpenIn(layout: Layout, { rows }: AllRows): boolean {
  const takesNewIds = takesNewIdsIn(layout);
  return rows.filter(takesNewIds).length === layout.placement.length;
}

import type { HotRows, OpenTransfer } from '../../core/hotPorts.ts';
import type { Layout } from '../../core/layout.ts';
import type { RowState } from '../../core/moves.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import { sumUnits } from '../../core/units.ts';

/** All rows of a split SKU, each read at about the same time. */
export interface Collected {
  readonly rows: readonly RowState[];
  /** Units that left one row and are not known to have come to another. */
  readonly transfers: readonly OpenTransfer[];
  /** Units on the shelves. */
  readonly leaved: number;
  /** Those of them that may be sold. */
  readonly sellable: number;
  /** Units that carts hold. */
  readonly held: number;
  /** Why some shard could not be read: there may be more than this. Null: all were. */
  readonly fault: string | null;
}

export async function collect(rows: HotRows, { sku_id, shards }: Layout, deadlineMs: DeadlineMs): Promise<Collected> {
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
 * Whether two collects saw the same rows, whole and with nothing on its way: then the SKU stood just so at some moment
 * between them, though no two of its rows were read at the same one.
 */
export function isSteady(first: Collected, second: Collected): boolean {
  if (first.fault !== null || second.fault !== null || first.transfers.length + second.transfers.length > 0)
    return false;
  const versions = new Map(first.rows.map((row) => [`${row.shard} ${row.sub_row}`, row.version]));
  return (
    first.rows.length === second.rows.length &&
    second.rows.every((row) => versions.get(`${row.shard} ${row.sub_row}`) === row.version)
  );
}

/** Whether a row takes new ids in a layout. */
export function isHomeIn({ epoch, places }: Layout): (row: RowState) => boolean {
  return (row) => row.isOpen && row.epoch === epoch && places[row.sub_row] === row.shard;
}

/** Whether all rows of a layout are open in it: another one may have taken its place, and units to shards that it does not name. */
export function isCurrent(layout: Layout, { rows }: Collected): boolean {
  const isHome = isHomeIn(layout);
  return rows.filter(isHome).length === layout.places.length;
}

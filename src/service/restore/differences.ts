import { isAbortedRecord, isUndecided, STATE_TABLES } from '../../core/restore/stateRows.ts';
import type { StateReader } from '../../core/ports/stateReader.ts';
import type { StateKey, StateRow, StateTable } from '../../core/restore/stateRows.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';

const PAGE = 2_000;

export interface States {
  /** The reference copy: an undamaged replica, or a data directory that still starts. */
  readonly reference: StateReader;
  readonly present: StateReader;
}

/** A row that only one of the two states has, or that differs between them. */
export interface RowDifference {
  readonly table: StateTable;
  readonly reference: StateRow | null;
  readonly present: StateRow | null;
}

/**
 * Compares two states of a shard, row by row. Aborted records of the reference copy are left out, because they mean the
 * same as no record.
 *
 * @param onRow called for every row of the reference copy
 */
export async function* differencesOf(
  { reference, present }: States,
  shard: ShardIndex,
  deadlineMs: DeadlineMs,
  onRow: () => void,
): AsyncGenerator<RowDifference, undefined> {
  for (const table of STATE_TABLES) {
    const [pastRows, presentRows] = [
      withoutAborted(table, rowsOf(reference, shard, table, deadlineMs), onRow),
      rowsOf(present, shard, table, deadlineMs),
    ];
    let [pastRow, presentRow] = [await pastRows.next(), await presentRows.next()];
    while (pastRow.done !== true || presentRow.done !== true) {
      const order =
        pastRow.done === true ? 1 : presentRow.done === true ? -1 : compare(pastRow.value.key, presentRow.value.key);
      const ofPast = order <= 0 ? (pastRow.value ?? null) : null;
      const ofPresent = order >= 0 ? (presentRow.value ?? null) : null;
      if (ofPast?.state !== ofPresent?.state) yield { table, reference: ofPast, present: ofPresent };
      if (ofPast !== null) {
        onRow();
        pastRow = await pastRows.next();
      }
      if (ofPresent !== null) presentRow = await presentRows.next();
    }
  }
}

async function* withoutAborted(
  table: StateTable,
  rows: AsyncIterable<StateRow>,
  onAborted: () => void,
): AsyncGenerator<StateRow, undefined> {
  for await (const row of rows) {
    if (isAbortedRecord({ table, row })) onAborted();
    else yield row;
  }
}

async function* rowsOf(
  reader: StateReader,
  shard: ShardIndex,
  table: StateTable,
  deadlineMs: DeadlineMs,
): AsyncGenerator<StateRow, undefined> {
  for (let after: StateKey | null = null; ;) {
    const page: readonly StateRow[] = await reader.readPage(shard, table, after, PAGE, deadlineMs);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.key;
  }
}

/** Compares keys in the order of the server: bytes as bytes. */
function compare(a: StateKey, b: StateKey): number {
  for (const [index, left] of a.entries()) {
    const right = b[index] ?? 0;
    const order =
      Buffer.isBuffer(left) && Buffer.isBuffer(right) ? Buffer.compare(left, right) : Number(left) - Number(right);
    if (order !== 0) return order;
  }
  return 0;
}

/** The order of the final statuses: a flow only moves to a later one. */
const STATUS_ORDER = new Map<unknown, number>([
  ['deducted', 1],
  ['cancelled', 2],
]);

/**
 * Whether the restored shard has a change that the reference copy lacks. Such a row must not be overwritten. An
 * undecided row is no change: the reference copy shows how it ended.
 */
export function isAhead({ table, reference, present }: RowDifference): boolean {
  if (present === null) return false;
  if (reference === null) return !isUndecided({ table, row: present });
  const [before, now] = [reference.cells, present.cells];
  if (table === 'hot_sku') return Number(now['last_epoch']) > Number(before['last_epoch']);
  if (table === 'flow')
    return (
      (STATUS_ORDER.get(now['status']) ?? 0) > (STATUS_ORDER.get(before['status']) ?? 0) ||
      Number(now['returned']) > Number(before['returned'])
    );
  return table === 'cart' && now['state'] === 'committed';
}

import { STATE_TABLES } from '../../core/lost.ts';
import type { StateKey, StateReader, StateRow, StateTable } from '../../core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';

const PAGE = 2_000;

export interface States {
  /** What is left of the state before: a replica that was spared, a data directory that still starts. */
  readonly past: StateReader;
  readonly present: StateReader;
}

/** A row that is not in both states, or not alike in them. */
export interface Difference {
  readonly table: StateTable;
  readonly past: StateRow | null;
  readonly present: StateRow | null;
}

/** Goes through two states of a shard side by side. @param onRow told of every row of the past */
export async function* differencesOf(
  { past, present }: States,
  shard: ShardIndex,
  deadlineMs: DeadlineMs,
  onRow: () => void,
): AsyncGenerator<Difference, undefined> {
  for (const table of STATE_TABLES) {
    const [before, now] = [rowsOf(past, shard, table, deadlineMs), rowsOf(present, shard, table, deadlineMs)];
    let [was, is] = [await before.next(), await now.next()];
    while (was.done !== true || is.done !== true) {
      const order = was.done === true ? 1 : is.done === true ? -1 : compare(was.value.key, is.value.key);
      const [ofPast, ofPresent] = [order <= 0 ? (was.value ?? null) : null, order >= 0 ? (is.value ?? null) : null];
      if (ofPast?.state !== ofPresent?.state) yield { table, past: ofPast, present: ofPresent };
      if (ofPast !== null) {
        onRow();
        was = await before.next();
      }
      if (ofPresent !== null) is = await now.next();
    }
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

/** As the server orders keys: bytes as bytes. */
function compare(a: StateKey, b: StateKey): number {
  for (const [place, left] of a.entries()) {
    const right = b[place] ?? 0;
    const order =
      Buffer.isBuffer(left) && Buffer.isBuffer(right) ? Buffer.compare(left, right) : Number(left) - Number(right);
    if (order !== 0) return order;
  }
  return 0;
}

/** A flow goes on from one to the next and never back. */
const STATUSES = new Map<unknown, number>([
  ['deducted', 1],
  ['cancelled', 2],
]);

/** Whether something was done on the restored shard that the state before has not: what differs there is not to be replaced. */
export function isAhead({ table, past, present }: Difference): boolean {
  if (present === null) return false;
  if (past === null) return table !== 'cart_hold';
  const [before, now] = [past.cells, present.cells];
  if (table === 'hot_sku') return Number(now['last_epoch']) > Number(before['last_epoch']);
  if (table === 'flow')
    return (
      (STATUSES.get(now['status']) ?? 0) > (STATUSES.get(before['status']) ?? 0) ||
      Number(now['returned']) > Number(before['returned'])
    );
  return table === 'cart' && now['state'] === 'committed';
}

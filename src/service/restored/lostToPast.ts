import type { Lost, PastKey, PastRow, PastTable, StateReader } from '../../core/lost.ts';
import { PAST_TABLES } from '../../core/lost.ts';
import { flowKeyText } from '../../core/nouns.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import { isOfRepair } from '../../core/reconciliation.ts';

const PAGE = 2_000;

export interface States {
  /** What is left of the state before: a replica that was spared, a data directory that still starts. */
  readonly past: StateReader;
  readonly present: StateReader;
}

/** Holds the tables of a restored shard against what is left of the state before. @param onRow told of every row of the past */
export async function lostToPast({ past, present }: States, shard: ShardIndex, deadlineMs: DeadlineMs, onRow: () => void = () => undefined): Promise<Lost[]> {
  const lost: Lost[] = [];
  /** Lines of carts that were sold, as their records say. */
  const sold = new Map<string, string>();
  for (const table of PAST_TABLES) {
    const now = rowsOf(present, shard, table, deadlineMs);
    let standing = await now.next();
    for await (const row of rowsOf(past, shard, table, deadlineMs)) {
      onRow();
      while (standing.done !== true && compare(standing.value.key, row.key) < 0) standing = await now.next();
      const same = standing.done !== true && compare(standing.value.key, row.key) === 0 ? standing.value : null;
      if (table === 'cart' && row.state === 'committed') (row.lines ?? []).forEach((line) => sold.set(flowKeyText(line), row.order_id ?? ''));
      if (same === null || same.state !== row.state) lost.push(...lostOf(table, row, same, sold));
    }
  }
  return lost;
}

async function* rowsOf(reader: StateReader, shard: ShardIndex, table: PastTable, deadlineMs: DeadlineMs): AsyncGenerator<PastRow, undefined> {
  for (let after: PastKey | null = null; ; ) {
    const page: readonly PastRow[] = await reader.readPage(shard, table, after, PAGE, deadlineMs);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.key;
  }
}

/** As the server orders keys: ids by their bytes. */
function compare(a: PastKey, b: PastKey): number {
  for (const [place, left] of a.entries()) {
    const right = b[place] ?? '';
    const order = typeof left === 'number' ? left - Number(right) : Buffer.compare(Buffer.from(left), Buffer.from(String(right)));
    if (order !== 0) return order;
  }
  return 0;
}

/** @param now the same row as it stands; null: it does not */
function lostOf(table: PastTable, row: PastRow, now: PastRow | null, sold: ReadonlyMap<string, string>): Lost[] {
  const [first, second, third] = row.key.map(String);
  const about = { toldBy: 'the state before', sku_id: first ?? null, order_id: row.order_id, order_detail_id: null, id: null, quantity: row.quantity, redo: null };
  const sku_id = first ?? '';
  const id = second ?? '';
  switch (table) {
    case 'stock':
      // Other rows are made by layouts.
      return row.key[1] === 0 ? [{ ...about, kind: 'sku', redo: { kind: 'open', sku_id, leaved_amount: row.quantity } }] : [];
    case 'adjustment':
      // What a repair wrote brought the journal to the row, and no unit to anybody.
      return [{ ...about, kind: 'adjustment', id, redo: now === null && !isOfRepair(id) ? { kind: 'adjust', sku_id, adjustment_id: id, delta: row.quantity, reason: row.reason } : null }];
    case 'flow':
      return flowLost(row, now, { ...about, order_detail_id: id }, sold.get(flowKeyText({ sku_id, order_detail_id: id })));
    case 'flow_return':
      // What a cancellation gave back comes back with it.
      if (third === '') return [];
      return [{ ...about, kind: 'return', order_detail_id: id, id: third ?? '', redo: now === null ? { kind: 'return', sku_id, order_detail_id: id, return_id: third ?? '', quantity: row.quantity } : null }];
    case 'cart':
      return cartLost(row, { ...about, sku_id: null, order_id: sku_id, id, quantity: null });
  }
}

/** A cart that was aborted, or that nobody had decided, and is not written down is taken for aborted. */
function cartLost({ key: [order_id = '', attempt = 0], state, lines }: PastRow, about: Omit<Lost, 'kind'>): Lost[] {
  if (state !== 'committed') return [];
  return [{ ...about, kind: 'cart', redo: { kind: 'record', cart: { order_id: String(order_id), attempt: Number(attempt), lines: lines ?? [] } } }];
}

/** @param soldBy the order whose cart's record says that it was sold; absent: none here says so */
function flowLost(row: PastRow, now: PastRow | null, about: Omit<Lost, 'kind'>, soldBy: string | undefined): Lost[] {
  const [sku_id, order_detail_id] = [about.sku_id ?? '', about.order_detail_id ?? ''];
  const order_id = row.order_id ?? '';
  const stands = now?.order_id === row.order_id && now.quantity === row.quantity;
  const sale: Lost = { ...about, kind: 'flow', redo: { kind: 'deduct', order_id, lines: [{ sku_id, order_detail_id, quantity: row.quantity }] } };
  switch (row.status) {
    case 'deducted':
      // What differs besides is how much came back, and the returns are told of one by one.
      return stands && now.status === 'deducted' ? [] : [sale];
    case 'cancelled': {
      const cancelled: Lost = { ...about, kind: 'flow_state', redo: { kind: 'cancel', order_id, lines: [{ sku_id, order_detail_id }] } };
      // One that was cancelled before it was sold has no units.
      return row.quantity === 0 || (stands && now.status === 'deducted') ? [cancelled] : [sale, cancelled];
    }
    case 'pending':
      // What its cart's record elsewhere says is told of by the shard that has it.
      return soldBy === row.order_id ? [sale] : [];
    // A mark that an attempt was undone; without it the attempt has nothing to undo.
    case 'void':
      return [];
    case 'moved':
    case null:
      return [{ ...about, kind: 'flow_state' }];
  }
}

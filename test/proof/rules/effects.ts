import { flowKeyText } from '../../../src/core/types.ts';
import { SlotMap } from '../../../src/core/slots.ts';
import type { Entry, FinalState, LineKey, LookUpSent, Write } from '../history.ts';

/** A gateway processes a request for at most this long; an attempt without an answer is over then. */
const ATTEMPT_MS_MAX = 5_000;
/** The same for a resize. */
const RESIZE_MS_MAX = 10_000;

export const BENCH_SHARDS = 16;

/** The owner shard of each id; slots do not move in the proof bench. */
export const OWNERS = new SlotMap(BENCH_SHARDS);

/** One effect of a write: its idempotency key, and the content that must be the same in a replay. */
export interface Effect {
  readonly key: string;
  readonly content: string;
  readonly sku_id: string;
  /** The order of the line, of a deduction or its cancellation; null for others. */
  readonly order_id: string | null;
  /** Its name in a message. */
  readonly name: string;
}

/** An effect that is stored. */
export interface StoredEffect extends Effect {
  readonly shard: number;
  /** The stock row that it changed. */
  readonly sub_row: number;
  /** The change of the units left of its SKU. */
  readonly change: number;
  /** The change of the returnable units of a deduction, and the key of that deduction; null where it changed none. */
  readonly rest: { readonly flow: string; readonly change: number } | null;
}

interface FlowContent extends LineKey {
  readonly order_id: string;
  readonly quantity: number;
}

/** The effects that a write was sent for. A pause and a resize have no id, so they have none here. */
export function effectsOf(write: Write): Effect[] {
  switch (write.kind) {
    case 'deduction':
      return write.lines.map((line) => flowEffect({ ...line, order_id: write.order_id }));
    case 'return':
      return [returnEffect(write)];
    case 'cancellation':
      return write.lines.map((line) => cancelEffect(line, write.order_id));
    case 'adjustment':
      return [adjustmentEffect(write)];
    case 'opening':
      return [openingEffect(write.sku_id, write.leaved_amount)];
    case 'sale':
    case 'resize':
      return [];
  }
}

/** The effects that a look-up reports. */
export function effectsFound({ found, ...line }: LookUpSent): Effect[] {
  if (found?.status !== 'deducted' && found?.status !== 'cancelled') return [];
  const { order_id, quantity } = found;
  return [
    ...(quantity > 0 ? [flowEffect({ ...line, order_id, quantity })] : []),
    ...(found.status === 'cancelled' ? [cancelEffect(line, order_id)] : []),
  ];
}

/** All effects that are stored in the end. Held units are no effect. */
export function storedEffects({ stock, flows, returns, adjustments }: FinalState): StoredEffect[] {
  const sold = flows.filter(
    ({ status, quantity }) => (status === 'deducted' || status === 'cancelled') && quantity > 0,
  );
  const rests = new Map(returns.filter(({ return_id }) => return_id === '').map((row) => [flowKey(row), row.quantity]));
  const rowOf = new Map(flows.map((row) => [`${row.shard}\0${flowKey(row)}`, row.sub_row]));
  const ofFlow = (row: LineKey & { readonly shard: number }) => ({
    shard: row.shard,
    sub_row: rowOf.get(`${row.shard}\0${flowKey(row)}`) ?? 0,
  });
  return [
    ...stock
      .filter(({ sub_row }) => sub_row === 0)
      .map((row) => ({
        ...openingEffect(row.sku_id, row.opening_amount),
        change: row.opening_amount,
        rest: null,
        shard: row.shard,
        sub_row: 0,
      })),
    ...sold.map((row) => ({
      ...flowEffect(row),
      change: -row.quantity,
      rest: { flow: flowKey(row), change: row.quantity },
      ...ofFlow(row),
    })),
    ...returns
      .filter(({ return_id }) => return_id !== '')
      .map((row) => ({
        ...returnEffect(row),
        change: row.quantity,
        rest: { flow: flowKey(row), change: -row.quantity },
        ...ofFlow(row),
      })),
    ...flows
      .filter(({ status }) => status === 'cancelled')
      .map((row) => {
        const units = rests.get(flowKey(row)) ?? 0;
        return {
          ...cancelEffect(row, row.order_id),
          change: units,
          rest: { flow: flowKey(row), change: -units },
          ...ofFlow(row),
        };
      }),
    ...adjustments.map((row) => ({
      ...adjustmentEffect(row),
      change: row.delta,
      rest: null,
      shard: row.shard,
      sub_row: 0,
    })),
  ];
}

export function isWrite(entry: Entry): entry is Write {
  return entry.kind !== 'read' && entry.kind !== 'lookup';
}

/** Whether the client cannot exclude that it has taken effect. */
export function mayHaveEffect({ verdict }: Entry): boolean {
  return verdict === 'done' || verdict === 'unknown';
}

/** The moment from which a sending can take no more effect: its answer, or without one the end of its time limit. */
export function overAtMs({ kind, verdict, code, invokedMs, endedMs }: Entry): number {
  if (verdict !== 'unknown' || code !== null) return endedMs;
  return invokedMs + (kind === 'resize' ? RESIZE_MS_MAX : ATTEMPT_MS_MAX);
}

/**
 * Whether lines lie on several shards, so that their units are held before they are sold. Lines of split SKUs count as
 * if they did, because they may.
 */
export function isCart(lines: readonly LineKey[], split: ReadonlySet<string>): boolean {
  return (
    lines.length > 1 &&
    (lines.some(({ sku_id }) => split.has(sku_id)) ||
      new Set(lines.map(({ sku_id }) => OWNERS.shardOf(sku_id))).size > 1)
  );
}

/** The key of a SKU's opening; the SKU exists where this effect is stored. */
export function openingKey(sku_id: string): string {
  return `opening\0${sku_id}`;
}

/** The key of a deduction. */
export function flowKey(line: LineKey): string {
  return `flow\0${flowKeyText(line)}`;
}

/** The key of a deduction's cancellation. */
export function cancelKey(line: LineKey): string {
  return `cancel\0${flowKeyText(line)}`;
}

/** The key of a deduction's cancellation, or of a cancellation's deduction: the two may contradict each other. */
export function siblingKey(key: string): string | null {
  const [kind, ...rest] = key.split('\0');
  if (kind !== 'flow' && kind !== 'cancel') return null;
  return [kind === 'flow' ? 'cancel' : 'flow', ...rest].join('\0');
}

/** Whether only one of two effects can be stored. They have the same key, or are siblings. */
export function contradict(one: Effect, other: Effect): boolean {
  return one.key === other.key ? one.content !== other.content : one.order_id !== other.order_id;
}

/** Groups entries by key; an entry may have several keys. */
export function groupBy<T>(entries: readonly T[], keysOf: (entry: T) => readonly string[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const entry of entries) {
    for (const key of keysOf(entry)) {
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [entry]);
      else group.push(entry);
    }
  }
  return groups;
}

/** The effect of a deduction. */
export function flowEffect(flow: FlowContent): Effect {
  const { sku_id, order_detail_id, order_id, quantity } = flow;
  return {
    key: flowKey(flow),
    content: `${quantity} in ${order_id}`,
    sku_id,
    order_id,
    name: `${order_detail_id} of ${sku_id}`,
  };
}

function cancelEffect(line: LineKey, order_id: string): Effect {
  return {
    key: cancelKey(line),
    content: order_id,
    sku_id: line.sku_id,
    order_id,
    name: `the cancellation of ${line.order_detail_id} of ${line.sku_id}`,
  };
}

function returnEffect(row: LineKey & { readonly return_id: string; readonly quantity: number }): Effect {
  const { sku_id, order_detail_id, return_id, quantity } = row;
  return {
    key: `return\0${flowKeyText(row)}\0${return_id}`,
    content: String(quantity),
    sku_id,
    order_id: null,
    name: `return ${return_id} of ${order_detail_id} of ${sku_id}`,
  };
}

function adjustmentEffect({
  sku_id,
  adjustment_id,
  delta,
}: {
  readonly sku_id: string;
  readonly adjustment_id: string;
  readonly delta: number;
}): Effect {
  return {
    key: `adjustment\0${sku_id}\0${adjustment_id}`,
    content: String(delta),
    sku_id,
    order_id: null,
    name: `adjustment ${adjustment_id} of ${sku_id}`,
  };
}

function openingEffect(sku_id: string, amount: number): Effect {
  return { key: openingKey(sku_id), content: String(amount), sku_id, order_id: null, name: `the opening of ${sku_id}` };
}

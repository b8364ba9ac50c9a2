import { flowKeyText } from '../../src/core/nouns.ts';
import type { Entry, FinalState, Write } from './history.ts';

/** A gateway works on a request for no longer than this; an attempt without an answer is over then. */
const ATTEMPT_MS_MAX = 5_000;

/** What a write brings about if it stands: one thing by its idempotency key, with everything that must be the same in a replay. */
export interface Effect {
  readonly key: string;
  readonly content: string;
  readonly sku_id: string;
  /** By how much it changes what is left. */
  readonly change: number;
  /** How it is called in a sentence. */
  readonly name: string;
}

/** An effect that stands in a database. */
export interface StandingEffect extends Effect {
  readonly shard: number;
}

/** What a write was to bring about. */
export function effectsOf(write: Write): Effect[] {
  switch (write.kind) {
    case 'deduction':
      return write.lines.map((line) => flowEffect({ ...line, order_id: write.order_id }));
    case 'adjustment':
      return [adjustmentEffect(write)];
    case 'opening':
      return [openingEffect(write.sku_id, write.leaved_amount)];
  }
}

/** Everything that stands in the end. */
export function standingEffects({ stock, flows, adjustments }: FinalState): StandingEffect[] {
  return [
    ...stock.map((row) => ({ ...openingEffect(row.sku_id, row.opening_amount), shard: row.shard })),
    ...flows.map((row) => ({ ...flowEffect(row), shard: row.shard })),
    ...adjustments.map((row) => ({ ...adjustmentEffect(row), shard: row.shard })),
  ];
}

export function isWrite(entry: Entry): entry is Write {
  return entry.kind === 'deduction' || entry.kind === 'adjustment' || entry.kind === 'opening';
}

/** Whether the client cannot exclude that it stands. */
export function mayStand({ verdict }: Entry): boolean {
  return verdict === 'done' || verdict === 'unknown';
}

/** From when on a sending takes no more effect: from its answer, whatever it says, or after its time. */
export function overAtMs({ verdict, code, invokedMs, endedMs }: Entry): number {
  return verdict === 'unknown' && code === null ? invokedMs + ATTEMPT_MS_MAX : endedMs;
}

/** The key of a SKU's opening: with it stands the SKU. */
export function openingKey(sku_id: string): string {
  return `opening\0${sku_id}`;
}

/** Entries by a key that each may have several of. */
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

function flowEffect(flow: { readonly sku_id: string; readonly order_detail_id: string; readonly order_id: string; readonly quantity: number }): Effect {
  const { sku_id, order_detail_id, order_id, quantity } = flow;
  return {
    key: `flow\0${flowKeyText(flow)}`,
    content: `${quantity} in ${order_id}`,
    sku_id,
    change: -quantity,
    name: `${order_detail_id} of ${sku_id}`,
  };
}

function adjustmentEffect({ sku_id, adjustment_id, delta }: { readonly sku_id: string; readonly adjustment_id: string; readonly delta: number }): Effect {
  return { key: `adjustment\0${sku_id}\0${adjustment_id}`, content: String(delta), sku_id, change: delta, name: `adjustment ${adjustment_id} of ${sku_id}` };
}

function openingEffect(sku_id: string, amount: number): Effect {
  return { key: openingKey(sku_id), content: String(amount), sku_id, change: amount, name: `the opening of ${sku_id}` };
}

import type { Lost, LostKind, Redo, RestoredShards } from '../../core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import type { Operation } from '../../core/operation.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { StockEngine } from '../../core/ports.ts';
import { pause } from '../freeHolds.ts';
import { inWidth } from '../inWidth.ts';

/** SKUs before what happened to them, what came in before what went out, records before the holds that they settle; write-offs come last of all. */
const ORDER: readonly LostKind[] = ['sku', 'adjustment', 'cart', 'flow', 'return', 'flow_state'];
/** In which order things happened is not known, so what was refused may be possible when the rest is back; and a shard may be busy for a while. */
const PASSES_MIN = 3;
/** Units that come into an empty row are sellable after a second. */
const PAUSE_MS = 1_100;
const WIDTH = 32;
const OPERATION_MS = 3_000;

export interface PutBackParts {
  readonly engine: StockEngine;
  readonly shards: RestoredShards;
}

/** Something that was lost, and what became of the attempt to bring it back. */
export interface PutBack {
  readonly lost: Lost;
  /** Null: it stands again. Otherwise why not, for operators. */
  readonly fault: string | null;
}

/**
 * Does again on a restored shard what is missing there, with the ids that it was done with: so it can be repeated, and a caller who sends
 * it once more is told that it was done. Goes on for as long as something comes back.
 *
 * @param onDone told of each that stands again
 */
export async function putBack(parts: PutBackParts, shard: ShardIndex, lost: readonly Lost[], deadlineMs: DeadlineMs, onDone: () => void = () => undefined): Promise<PutBack[]> {
  const known = lost.filter(({ kind, redo }) => redo !== null && ORDER.includes(kind));
  let left: PutBack[] = known.map((one) => ({ lost: one, fault: 'it was not tried' }));
  for (let pass = 1, before = Infinity; left.length > 0 && (left.length < before || pass <= PASSES_MIN) && performance.now() < deadlineMs; pass += 1) {
    if (pass > 1) await pause(PAUSE_MS);
    before = left.length;
    left = await passOver(parts, shard, left.map((one) => one.lost), deadlineMs, onDone);
  }
  const faults = new Map(left.map((one) => [one.lost, one.fault]));
  const isTried = new Set(known);
  return lost.map((one) => ({ lost: one, fault: isTried.has(one) ? (faults.get(one) ?? null) : 'it must be judged by people' }));
}

/** @returns those that do not stand */
async function passOver(parts: PutBackParts, shard: ShardIndex, lost: readonly Lost[], deadlineMs: DeadlineMs, onDone: () => void): Promise<PutBack[]> {
  let left: PutBack[] = [];
  const writeOffs = lost.filter(({ redo }) => takes(redo));
  const steps = [...ORDER.map((kind) => lost.filter((one) => one.kind === kind && !takes(one.redo))), writeOffs];
  for (const some of steps) {
    const unsold = new Set(left.filter((one) => one.lost.kind === 'flow').map((one) => keyOf(one.lost)));
    const tried = await inWidth(some, WIDTH, async (one): Promise<PutBack> => {
      // Cancelled before it is sold it could never be sold.
      const fault = one.kind !== 'flow' && unsold.has(keyOf(one)) ? 'its sale does not stand yet' : one.redo === null ? null : await redo(parts, shard, one.redo, deadlineMs);
      if (fault === null) onDone();
      return { lost: one, fault };
    });
    left = left.concat(tried.filter(({ fault }) => fault !== null));
  }
  return left;
}

function keyOf({ sku_id, order_detail_id }: Lost): string {
  return `${sku_id ?? ''}\0${order_detail_id ?? ''}`;
}

function takes(operation: Redo | null): boolean {
  return operation?.kind === 'adjust' && operation.delta < 0;
}

/** @returns null when it stands */
async function redo({ engine, shards }: PutBackParts, shard: ShardIndex, operation: Redo, deadlineMs: DeadlineMs): Promise<string | null> {
  const untilMs = Math.min(deadlineMs, performance.now() + OPERATION_MS);
  if (operation.kind === 'record') return (await shards.recordCart(shard, operation.cart, untilMs)) ? null : 'it is written down as aborted';
  const [outcome] = await engine.apply(shard, [operation], untilMs);
  if (outcome?.is !== 'pending' || operation.kind !== 'deduct') return faultOf(outcome);
  // Held when the backup was made, and sold since, as whoever told of it knows.
  const ours = outcome.holds.filter(({ order_id }) => order_id === operation.order_id);
  for (const { order_id, attempt, sku_id, order_detail_id } of ours) {
    const lines = operation.lines.filter((line) => line.sku_id === sku_id && line.order_detail_id === order_detail_id);
    if (lines.length > 0) await engine.apply(shard, [{ kind: 'settle', order_id, attempt, verdict: 'committed', lines }], untilMs);
  }
  return faultOf((await engine.apply(shard, [operation], untilMs))[0]);
}

function faultOf(outcome: OutcomeOf<Operation> | undefined): string | null {
  if (outcome === undefined) return 'no answer';
  if (outcome.is === 'deducted' || outcome.is === 'returned' || outcome.is === 'applied') return null;
  if (outcome.is === 'refused') return outcome.code;
  if (outcome.is === 'not_done' || outcome.is === 'unknown') return outcome.reason;
  return outcome.is === 'moved' ? 'its SKU is split over several rows' : outcome.is;
}

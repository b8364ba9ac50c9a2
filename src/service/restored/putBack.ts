import type { Lost, LostKind, Redo, RestoredShards } from '../../core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import type { Operation } from '../../core/operation.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { StockEngine } from '../../core/ports.ts';
import { pause } from '../freeHolds.ts';
import { inWidth } from '../inWidth.ts';

/** SKUs before what happened to them, what came in before what went out, sales before what came back of them. */
const ORDER: readonly LostKind[] = ['sku', 'adjustment', 'flow', 'return', 'flow_state', 'cart'];
/** Units that come into an empty row are sellable after a second; a shard that is busy is asked again. */
const TRIES_MAX = 5;
const PAUSE_MS = 700;
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
 * it once more is told that it was done.
 *
 * @param onDone told of each
 */
export async function putBack(parts: PutBackParts, shard: ShardIndex, lost: readonly Lost[], deadlineMs: DeadlineMs, onDone: () => void = () => undefined): Promise<PutBack[]> {
  const done: PutBack[] = [];
  for (const kind of ORDER) {
    const ofKind = lost.filter((one) => one.kind === kind);
    // What is put in must be there before anything is taken out: a write-off after the restocks.
    const [first, then] = [ofKind.filter(({ redo }) => !takes(redo)), ofKind.filter(({ redo }) => takes(redo))];
    for (const some of [first, then]) {
      done.push(
        ...(await inWidth(some, WIDTH, async (one): Promise<PutBack> => {
          const fault = one.redo === null ? 'it must be judged by people' : await redo(parts, shard, one.redo, deadlineMs);
          onDone();
          return { lost: one, fault };
        })),
      );
    }
  }
  return [...done, ...lost.filter(({ kind }) => !ORDER.includes(kind)).map((one) => ({ lost: one, fault: 'it must be judged by people' }))];
}

function takes(operation: Redo | null): boolean {
  return operation?.kind === 'adjust' && operation.delta < 0;
}

async function redo({ engine, shards }: PutBackParts, shard: ShardIndex, operation: Redo, deadlineMs: DeadlineMs): Promise<string | null> {
  if (operation.kind === 'record') return (await shards.recordCart(shard, operation.cart, deadlineMs)) ? null : 'it is written down otherwise';
  let fault = '';
  for (let tries = 1; tries <= TRIES_MAX && performance.now() < deadlineMs; tries += 1) {
    if (tries > 1) await pause(PAUSE_MS);
    const [outcome] = await engine.apply(shard, [operation], Math.min(deadlineMs, performance.now() + OPERATION_MS));
    const told = faultOf(outcome);
    if (told === null || (outcome?.is === 'refused' && outcome.code !== 'insufficient_stock')) return told;
    fault = told;
  }
  return fault;
}

/** @returns null when it stands */
function faultOf(outcome: OutcomeOf<Operation> | undefined): string | null {
  if (outcome === undefined) return 'no answer';
  if (outcome.is === 'deducted' || outcome.is === 'returned' || outcome.is === 'applied') return null;
  if (outcome.is === 'refused') return outcome.code;
  if (outcome.is === 'not_done' || outcome.is === 'unknown') return outcome.reason;
  return outcome.is === 'moved' ? 'its SKU is split over several rows' : outcome.is;
}

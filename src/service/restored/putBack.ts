import type { Lost, Redo, RestoredShards } from '../../core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import type { Moved, OutcomeOf, Pending } from '../../core/outcome.ts';
import type { Operation, Send } from '../../core/operation.ts';
import { applyOperation } from '../applyOperation.ts';
import { pastHolds } from '../freeHolds.ts';
import type { HoldParts } from '../freeHolds.ts';
import { applyFunded } from '../hot/applyFunded.ts';
import type { FundingParts } from '../hot/applyFunded.ts';
import { receiveAll } from '../hot/transfers.ts';
import { inWidth } from '../inWidth.ts';

/** Records before the holds that they settle, and what came in before what went out. */
const ORDER: readonly Redo['kind'][] = ['record', 'receive', 'deduct', 'send'];
const WIDTH = 32;
/** Longer than a cart may be open. */
const OPERATION_MS = 10_000;

export interface PutBackParts extends HoldParts, FundingParts {
  readonly shards: RestoredShards;
}

/** Something that was lost, and what became of the attempt to bring it back. */
export interface PutBack {
  readonly lost: Lost;
  /** Null: it stands again. Otherwise why that is not certain, for operators. */
  readonly fault: string | null;
  /** True when it may stand all the same: no answer came. */
  readonly isUnknown: boolean;
}

/** What is missing on a shard. */
export interface LostOn {
  readonly shard: ShardIndex;
  readonly lost: readonly Lost[];
}

/**
 * Does again on restored shards what is missing there, with the ids that it was done with: so it can be repeated, and a caller who sends
 * it once more is told that it was done.
 *
 * @param onDone told of each that was tried
 */
export async function putBack(
  parts: PutBackParts,
  restored: readonly LostOn[],
  deadlineMs: DeadlineMs,
  onDone: () => void = () => undefined,
): Promise<PutBack[]> {
  const all = restored.flatMap(({ shard, lost }) => lost.map((one) => ({ shard, lost: one })));
  // Its rows belong to another layout than its units.
  const torn = new Set(all.flatMap(({ lost: { kind, sku_id } }) => (kind === 'layout' ? [sku_id] : [])));
  const isForPeople = ({ redo, sku_id }: Lost): boolean => redo === null || (sku_id !== null && torn.has(sku_id));
  const done = all.flatMap(({ lost }): PutBack[] =>
    isForPeople(lost) ? [{ lost, fault: 'it must be judged by people', isUnknown: false }] : [],
  );
  // Step by step on all of them: a hold on one is settled by a record on another.
  for (const kind of ORDER) {
    const some = all.filter(({ lost }) => lost.redo?.kind === kind && !isForPeople(lost));
    const tried = await inWidth(some, WIDTH, async ({ shard, lost }): Promise<PutBack> => {
      const result = lost.redo === null ? STANDS : await redo(parts, shard, lost.redo, deadlineMs).catch(unanswered);
      onDone();
      return { lost, ...result };
    });
    done.push(...tried);
  }
  await parts.afterwork.finish(OPERATION_MS);
  return done;
}

type Result = Omit<PutBack, 'lost'>;

const STANDS: Result = { fault: null, isUnknown: false };

/** An exception does not say whether it happened. */
function unanswered(error: unknown): Result {
  return { fault: error instanceof Error ? error.message : String(error), isUnknown: true };
}

async function redo(parts: PutBackParts, shard: ShardIndex, operation: Redo, deadlineMs: DeadlineMs): Promise<Result> {
  const untilMs = Math.min(deadlineMs, performance.now() + OPERATION_MS);
  if (operation.kind === 'record')
    return (await parts.shards.recordCart(shard, operation.cart, untilMs))
      ? STANDS
      : { fault: 'it is written down as aborted', isUnknown: false };
  // Holds from the time of the backup end as their carts' records say, or are given up by now.
  if (operation.kind === 'deduct')
    return resultOf(
      await pastHolds(parts, untilMs, untilMs, shard, () => applyFunded(parts, shard, operation, untilMs)),
    );
  if (operation.kind === 'send')
    return resultOf(await pastHolds(parts, untilMs, untilMs, shard, () => sendFunded(parts, operation, untilMs)));
  return resultOf(await applyOperation(parts.engine, shard, operation, untilMs));
}

/** Takes units off a row that went away from it once; what it has not by now is fetched from the other rows. */
async function sendFunded(
  parts: PutBackParts,
  operation: Send,
  untilMs: DeadlineMs,
): Promise<OutcomeOf<Send> | Pending | Moved> {
  const { sku_id, from, amount } = operation;
  for (;;) {
    const outcome = await applyOperation(parts.engine, from.shard, operation, untilMs);
    if (outcome.is !== 'refused') return outcome;
    const gathered = await parts.hot.gatherer.gather({ sku_id, to: from, units: amount, waitsForHolds: true }, untilMs);
    if (gathered.is === 'not_done' || gathered.is === 'moved' || gathered.is === 'pending') return gathered;
    if (gathered.is !== 'fetched') return outcome;
    await receiveAll(parts.hot, gathered.credits, untilMs);
  }
}

function resultOf(outcome: OutcomeOf<Operation>): Result {
  const fault = faultOf(outcome);
  return fault === null ? STANDS : { fault, isUnknown: outcome.is === 'unknown' };
}

function faultOf(outcome: OutcomeOf<Operation>): string | null {
  if (outcome.is === 'deducted' || outcome.is === 'applied') return null;
  if (outcome.is === 'refused') return outcome.code;
  if (outcome.is === 'not_done' || outcome.is === 'unknown') return outcome.reason;
  return outcome.is === 'moved' ? 'its SKU is split over several rows' : outcome.is;
}

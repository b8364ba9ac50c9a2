import type { RestoredShards } from '../../core/ports/restoredShards.ts';
import type { MissingRecord, Redo } from '../../core/restore/missingRecord.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { StaleLayout, OutcomeOf, BlockedByHolds } from '../../core/outcome.ts';
import type { Operation, Send } from '../../core/operation.ts';
import { applyOperation } from '../orders/applyOperation.ts';
import { completeBlockingHolds } from '../carts/completeHolds.ts';
import type { HoldPorts } from '../carts/completeHolds.ts';
import { applyWithTransfers } from '../hot/applyWithTransfers.ts';
import type { ApplyWithTransfersPorts } from '../hot/applyWithTransfers.ts';
import { receiveAll } from '../hot/transfers.ts';
import { mapWithLimit } from '../tasks/mapWithLimit.ts';
import { errorText } from '../../core/text/errorText.ts';

/** Cart records before the deductions whose holds they complete, and received units before sent units. */
const ORDER: readonly Redo['kind'][] = ['record', 'receive', 'deduct', 'send'];
const WIDTH = 32;
/** Longer than a cart may stay open. */
const OPERATION_MS = 10_000;

export interface PutBackPorts extends HoldPorts, ApplyWithTransfersPorts {
  readonly shards: RestoredShards;
}

/** A missing record, and the outcome of the attempt to restore it. */
export interface PutBack {
  readonly missing: MissingRecord;
  /** Null: the record exists again. If not null: why that is not certain, for operators. */
  readonly fault: string | null;
  /** True when the record may exist in spite of the fault, because no answer came. */
  readonly isUnknown: boolean;
}

/** The missing records of one shard. */
export interface MissingOn {
  readonly shard: ShardIndex;
  readonly missing: readonly MissingRecord[];
}

/**
 * Repeats the missing operations on restored shards, with their own ids. So it can be run again, and a caller that
 * sends one of the requests again receives a replay.
 *
 * @param onDone called after each record that was tried
 */
export async function putBack(
  ports: PutBackPorts,
  restored: readonly MissingOn[],
  deadlineMs: DeadlineMs,
  onDone: () => void = () => undefined,
): Promise<PutBack[]> {
  const all = restored.flatMap(({ shard, missing }) => missing.map((record) => ({ shard, record })));
  // SKUs whose rows belong to another layout than their units.
  const inconsistent = new Set(all.flatMap(({ record: { kind, sku_id } }) => (kind === 'layout' ? [sku_id] : [])));
  const needsOperator = ({ redo, sku_id }: MissingRecord): boolean =>
    redo === null || (sku_id !== null && inconsistent.has(sku_id));
  const done = all.flatMap(({ record }): PutBack[] =>
    needsOperator(record) ? [{ missing: record, fault: "it needs an operator's decision", isUnknown: false }] : [],
  );
  // One kind on all shards, then the next kind: a record on one shard completes holds on another.
  for (const kind of ORDER) {
    const some = all.filter(({ record }) => record.redo?.kind === kind && !needsOperator(record));
    const tried = await mapWithLimit(some, WIDTH, async ({ shard, record }): Promise<PutBack> => {
      const result = record.redo === null ? DONE : await redo(ports, shard, record.redo, deadlineMs).catch(unanswered);
      onDone();
      return { missing: record, ...result };
    });
    done.push(...tried);
  }
  await ports.backgroundTasks.finish(OPERATION_MS);
  return done;
}

type Result = Omit<PutBack, 'missing'>;

const DONE: Result = { fault: null, isUnknown: false };

/** After an exception, the operation may or may not have had its effect. */
function unanswered(error: unknown): Result {
  return { fault: errorText(error), isUnknown: true };
}

async function redo(ports: PutBackPorts, shard: ShardIndex, operation: Redo, deadlineMs: DeadlineMs): Promise<Result> {
  const untilMs = Math.min(deadlineMs, performance.now() + OPERATION_MS);
  if (operation.kind === 'record')
    return (await ports.shards.recordCart(shard, operation.cart, untilMs))
      ? DONE
      : { fault: 'its cart record is aborted', isUnknown: false };
  // Holds from the backup are completed by their cart records; open carts of that time are old enough to be aborted.
  if (operation.kind === 'deduct')
    return resultOf(
      await completeBlockingHolds(ports, untilMs, untilMs, shard, () =>
        applyWithTransfers(ports, shard, operation, untilMs),
      ),
    );
  if (operation.kind === 'send')
    return resultOf(
      await completeBlockingHolds(ports, untilMs, untilMs, shard, () => sendWithTransfers(ports, operation, untilMs)),
    );
  return resultOf(await applyOperation(ports.engine, shard, operation, untilMs));
}

/** Takes units off a row again that it sent before the restore. Units that it lacks now come from the other rows. */
async function sendWithTransfers(
  ports: PutBackPorts,
  operation: Send,
  untilMs: DeadlineMs,
): Promise<OutcomeOf<Send> | BlockedByHolds | StaleLayout> {
  const { sku_id, from, amount } = operation;
  for (;;) {
    const outcome = await applyOperation(ports.engine, from.shard, operation, untilMs);
    if (outcome.is !== 'refused') return outcome;
    const rebalanced = await ports.hot.rebalancer.fetch(
      { sku_id, to: from, units: amount, waitsForHolds: true },
      untilMs,
    );
    if (rebalanced.is === 'not_done' || rebalanced.is === 'moved' || rebalanced.is === 'pending') return rebalanced;
    if (rebalanced.is !== 'fetched') return outcome;
    await receiveAll(ports.hot, rebalanced.credits, untilMs);
  }
}

function resultOf(outcome: OutcomeOf<Operation>): Result {
  const fault = faultOf(outcome);
  return fault === null ? DONE : { fault, isUnknown: outcome.is === 'unknown' };
}

function faultOf(outcome: OutcomeOf<Operation>): string | null {
  if (outcome.is === 'deducted' || outcome.is === 'applied') return null;
  if (outcome.is === 'refused') return outcome.code;
  if (outcome.is === 'not_done' || outcome.is === 'unknown') return outcome.reason;
  return outcome.is === 'moved' ? 'its SKU is split over several rows' : outcome.is;
}

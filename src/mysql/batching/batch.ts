import { BATCH_ERROR } from '../connection/batchError.ts';
import { ownedSkusOf } from '../../core/operation.ts';
import { decide } from '../../core/ledger/decide.ts';
import type { BatchOperation, Decision } from '../../core/ledger/decide.ts';
import { Ledger } from '../../core/ledger/ledger.ts';
import type { LedgerRows, WriteSet } from '../../core/ledger/ledger.ts';
import type { DeadlineMs, FlowKey } from '../../core/types.ts';
import type { WrongShard, OutcomeOf } from '../../core/outcome.ts';
import type { Connection } from '../connection/connection.ts';
import { CommitUnanswered, Raced, SERVER_ERROR, ServerError, Unavailable } from '../connection/failures.ts';
import { applyBatch, partValues } from '../sql/batch/applyBatch.ts';
import { lookUp } from '../sql/batch/lookUp.ts';
import type { LookedUp, RowsQuery } from '../sql/batch/lookUp.ts';
import type { RequiredRead, Hints } from './hints.ts';
import type { ShardClock } from './shardClock.ts';

/** An operation that cannot be decided, because the rows of the shard contradict each other. */
export interface Undecidable {
  readonly is: 'undecidable';
  readonly error: unknown;
}

/** The decision on each operation of one shard, in the order of the operations. */
export type Decisions = readonly (Decision | WrongShard | Undecidable)[];

/** The batch may have been committed. The error carries what that commit would mean, part by part. */
export class BatchUnanswered extends CommitUnanswered {
  readonly intended: readonly Decisions[];
  /** A time before any of the batch was sent, perhaps slightly earlier, by the clock of the shards' server. */
  readonly startedAt: string;
  /** The time from which the shards refuse the batch, by the same clock. */
  readonly deadline: string;

  constructor(reason: string, intended: readonly Decisions[], begun: string, deadline: string) {
    super(reason);
    this.intended = intended;
    this.startedAt = begun;
    this.deadline = deadline;
  }
}

/** How often at most a batch is decided, when other transactions keep changing its rows. */
const TRIES_MAX = 6;

const NOTHING: LookedUp = {
  reading: {
    flows: new Map(),
    stockRows: new Map(),
    returns: new Map(),
    adjustments: new Map(),
    transfers: new Map(),
    totals: new Map(),
  },
  wrongShard: new Set(),
};

/** Errors that mean: a row is not as it was when the batch was decided. */
const CHANGED_ERRORS: ReadonlySet<number> = new Set([
  SERVER_ERROR.duplicateKey,
  SERVER_ERROR.deadlock,
  BATCH_ERROR.notMine,
  BATCH_ERROR.flowChanged,
  BATCH_ERROR.stockChanged,
  BATCH_ERROR.limitPassed,
]);
/** With less time than this left, the answer to a batch could not arrive in time. */
const SEND_MS_MIN = 50;

/**
 * Decides operations and writes their changes in one transaction and one round trip. Usually nothing is read first: the
 * ids are new and the stock suffices. If a guess is wrong or not possible, the rows are read and the operations are
 * decided from them.
 *
 * @param parts operations by shard. All shards are on one server, and all batches list them in the same order.
 * @param hints show what may be decided without a read, and receive what was read.
 * @param untilMs the shards refuse the batch from this moment on.
 * @returns the decisions, part by part. All that they write is committed.
 * @throws BatchUnanswered when the batch may have been committed; after any other error it had no effect
 */
export async function runBatch(
  connection: Connection,
  clock: ShardClock,
  parts: readonly RowsQuery[],
  hints: Hints,
  untilMs: DeadlineMs,
): Promise<readonly Decisions[]> {
  const begun = clock.earliest(performance.now());
  let found = await readUncertain(connection, parts, hints, untilMs);
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const decided = parts.map((part, index) => decideAll(part, found[index] ?? NOTHING));
    const intended = decided.map(({ decisions }) => decisions);
    const deadline = clock.latest(untilMs);
    const writes = decided.flatMap(({ part: { schema }, sku_ids, writeSet }) =>
      isEmpty(writeSet) ? [] : [{ schema, values: partValues(deadline, sku_ids, writeSet) }],
    );
    if (writes.length === 0) return intended;
    if (performance.now() + SEND_MS_MIN > untilMs) throw new Unavailable('the deadline was too near to send the batch');
    try {
      await applyBatch(connection, writes, untilMs);
      return intended;
    } catch (error) {
      if (error instanceof CommitUnanswered) throw new BatchUnanswered(error.message, intended, begun, deadline);
      if (!(error instanceof ServerError && CHANGED_ERRORS.has(error.number))) throw error;
      found = await lookUp(connection, parts, untilMs);
      for (const { reading } of found) hints.storeReading(reading);
    }
  }
  throw new Raced('other transactions kept changing the same rows');
}

/** Reads what cannot be guessed, if there is anything. @returns what was found, part by part */
async function readUncertain(
  connection: Connection,
  parts: readonly RowsQuery[],
  hints: Hints,
  untilMs: DeadlineMs,
): Promise<readonly LookedUp[]> {
  const uncertain = parts.map(({ schema, operations }): RowsQuery => {
    const byRead: Record<RequiredRead, BatchOperation[]> = { nothing: [], ids: [], all: [] };
    for (const operation of operations) byRead[hints.requiredReadOf(operation)].push(operation);
    return { schema, operations: byRead.all, idsOnly: byRead.ids };
  });
  const needsRead = ({ operations, idsOnly = [] }: RowsQuery): boolean => operations.length + idsOnly.length > 0;
  const asked = uncertain.filter(needsRead);
  if (asked.length === 0) return [];
  const found = await lookUp(connection, asked, untilMs);
  for (const { reading } of found) hints.storeReading(reading);
  const answers = found.values();
  return uncertain.map((part) => (needsRead(part) ? (answers.next().value ?? NOTHING) : NOTHING));
}

interface Decided {
  readonly part: RowsQuery;
  readonly decisions: Decisions;
  /** SKUs of the decided operations: their slots must belong to the shard. */
  readonly sku_ids: readonly string[];
  readonly writeSet: WriteSet;
}

/** @param undecidable operations that cannot be decided; the other operations of the part are decided without them */
function decideAll(
  part: RowsQuery,
  found: LookedUp,
  undecidable: ReadonlyMap<BatchOperation, unknown> = new Map(),
): Decided {
  const ledger = new Ledger(found.reading);
  const sku_ids: string[] = [];
  const decisions: Decisions[number][] = [];
  for (const operation of part.operations) {
    const ofOperation = ownedSkusOf(operation);
    if (undecidable.has(operation)) decisions.push({ is: 'undecidable', error: undecidable.get(operation) });
    else if (found.wrongShard.size > 0 && ofOperation.some((sku_id) => found.wrongShard.has(sku_id)))
      decisions.push({ is: 'not_mine' });
    else {
      try {
        decisions.push(decide(ledger, operation));
      } catch (error) {
        // The ledger may hold half of this operation, so the part is decided again from the start.
        return decideAll(part, found, new Map([...undecidable, [operation, error]]));
      }
      sku_ids.push(...ofOperation);
    }
  }
  return { part, decisions, sku_ids, writeSet: ledger.writeSet() };
}

function isEmpty(writeSet: WriteSet): boolean {
  return writeSet.completedHolds.length === 0 && !changesAnything(writeSet);
}

/** Whether anything is written besides completed holds: to strike out the rows of those changes nothing by itself. */
function changesAnything({ flows, stockRows, returns, adjustments, transfers }: WriteSet): boolean {
  return flows.length + stockRows.length + returns.length + adjustments.length + transfers.length > 0;
}

/**
 * The outcome of an operation whose batch was not answered. It is decided from the rows as they are once nothing of the
 * batch can be written any more.
 *
 * @param isOlder whether a flow existed before the batch. The batch took it for new, so the shard has refused the
 *   batch.
 */
export function resolveInDoubtOperation(
  operation: BatchOperation,
  intended: Decisions[number],
  reading: LedgerRows,
  isOlder: (key: FlowKey) => boolean = () => false,
): OutcomeOf<BatchOperation> {
  const undone = { is: 'not_done', reason: 'its batch was undone' } as const;
  const ledger = new Ledger(reading);
  const now = decide(ledger, operation);
  if (changesAnything(ledger.writeSet()) || now.is === 'deferred' || now.is === 'lacking') return undone;
  const takenForNew =
    intended.is === 'deducted' || intended.is === 'held' ? intended.lines.filter(({ replayed }) => !replayed) : [];
  const wasWrong = takenForNew.some(isOlder);
  if (now.is === intended.is) return now.is === 'refused' || wasWrong ? now : intended;
  // The operation was deducted by the batch and cancelled since.
  const wasCancelled =
    intended.is === 'deducted' &&
    'lines' in operation &&
    operation.lines.every((line) => wasDeducted(ledger, operation, line));
  return wasCancelled && !wasWrong ? intended : undone;
}

function wasDeducted(
  ledger: Ledger,
  { order_id }: { readonly order_id: string },
  line: FlowKey & { readonly quantity?: number },
): boolean {
  const flow = ledger.flow(line);
  return (
    flow !== null &&
    flow.order_id === order_id &&
    flow.quantity === line.quantity &&
    (flow.status === 'deducted' || flow.status === 'cancelled')
  );
}

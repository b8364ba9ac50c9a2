import { BATCH_ERROR } from '../connection/batchError.ts';
import { ownedSkusOf } from '../../core/operation.ts';
import type { BatchOperation, Decision } from '../../core/ledger/decide.ts';
import { Ledger } from '../../core/ledger/ledger.ts';
import type { WriteSet } from '../../core/ledger/ledger.ts';
import type { DeadlineMs } from '../../core/types.ts';
import type { WrongShard } from '../../core/outcome.ts';
import type { Connection } from '../connection/connection.ts';
import { CommitUnanswered, Raced, SERVER_ERROR, ServerError, Unavailable } from '../connection/failures.ts';
import { applyBatch, partValues } from '../sql/batch/applyBatch.ts';
import { decideParts } from './decideParts.ts';
import { lookUp } from '../sql/batch/lookUp.ts';
import type { LookedUp, RowsQuery } from '../sql/batch/lookUp.ts';
import type { RequiredRead, Hints } from './hints.ts';
import { changesAnything } from './writeSets.ts';
import type { ShardClock } from './shardClock.ts';

/** An operation that cannot be decided, because the rows of the shard contradict each other. */
export interface Undecidable {
  readonly is: 'undecidable';
  readonly error: unknown;
}

/** The decision on one operation. */
export type EntryDecision = Decision | WrongShard | Undecidable;

/** The decision on each operation of a batch, in the order of the operations. */
export type Decisions = readonly EntryDecision[];

/** One operation of a batch: its part on each shard, which is mostly one. */
export interface BatchEntry {
  readonly parts: readonly { readonly shard: { readonly schema: string }; readonly operation: BatchOperation }[];
}

/** Operations for some shards of one server. */
export interface Batch {
  /** The schemas of all shards that the entries name, in the same order in all batches of all gateways. */
  readonly schemas: readonly string[];
  readonly entries: readonly BatchEntry[];
  /**
   * A stock row that another transaction had locked, as `stockRowKeyText`: it is locked first, without a wait. Null:
   * all locks are waited for.
   */
  readonly lockedRow: string | null;
}

/** The batch may have been committed. The error carries what that commit would mean, operation by operation. */
export class BatchUnanswered extends CommitUnanswered {
  readonly intended: Decisions;
  /** A time before any of the batch was sent, perhaps slightly earlier, by the clock of the shards' server. */
  readonly startedAt: string;
  /** The time from which the shards refuse the batch, by the same clock. */
  readonly deadline: string;

  constructor(reason: string, intended: Decisions, begun: string, deadline: string) {
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
    records: new Map(),
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
 * @param hints show what may be decided without a read, and receive what was read.
 * @param untilMs the shards refuse the batch from this moment on.
 * @returns the decisions, entry by entry. All that they write is committed.
 * @throws BatchUnanswered when the batch may have been committed; after any other error it had no effect
 */
export async function runBatch(
  connection: Connection,
  clock: ShardClock,
  batch: Batch,
  hints: Hints,
  untilMs: DeadlineMs,
): Promise<Decisions> {
  const begun = clock.earliest(performance.now());
  let found = await readUncertain(connection, batch, hints, untilMs);
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const { decisions, shards } = decideAll(batch, found);
    const deadline = clock.latest(untilMs);
    const writes = shards.flatMap(({ schema, sku_ids, ledger }) => {
      const writeSet = ledger.writeSet();
      return isEmpty(writeSet) ? [] : [{ schema, values: partValues(deadline, sku_ids, writeSet) }];
    });
    if (writes.length === 0) return decisions;
    if (performance.now() + SEND_MS_MIN > untilMs) throw new Unavailable('the deadline was too near to send the batch');
    try {
      await applyBatch(connection, writes, untilMs, batch.lockedRow);
      return decisions;
    } catch (error) {
      if (error instanceof CommitUnanswered) throw new BatchUnanswered(error.message, decisions, begun, deadline);
      if (!(error instanceof ServerError && CHANGED_ERRORS.has(error.number))) throw error;
      found = await readAll(connection, batch, untilMs);
      for (const { reading } of found.values()) hints.storeReading(reading);
    }
  }
  throw new Raced('other transactions kept changing the same rows');
}

/** The rows that were read, by schema. */
type Found = ReadonlyMap<string, LookedUp>;

/** Reads what cannot be guessed, if there is anything. */
async function readUncertain(
  connection: Connection,
  { schemas, entries }: Batch,
  hints: Hints,
  untilMs: DeadlineMs,
): Promise<Found> {
  const asked = new Map<string, Record<Exclude<RequiredRead, 'nothing'>, BatchOperation[]>>();
  for (const { parts } of entries) {
    const read = hints.requiredReadOf(parts);
    if (read === 'nothing') continue;
    for (const { shard, operation } of parts) {
      const ofShard = asked.get(shard.schema) ?? { ids: [], all: [] };
      ofShard[read].push(operation);
      asked.set(shard.schema, ofShard);
    }
  }
  const queries = schemas.flatMap((schema): RowsQuery[] => {
    const ofShard = asked.get(schema);
    return ofShard === undefined ? [] : [{ schema, operations: ofShard.all, idsOnly: ofShard.ids }];
  });
  const found = await readRows(connection, queries, untilMs);
  for (const { reading } of found.values()) hints.storeReading(reading);
  return found;
}

function readAll(connection: Connection, { schemas, entries }: Batch, untilMs: DeadlineMs): Promise<Found> {
  const operations = new Map<string, BatchOperation[]>(schemas.map((schema) => [schema, []]));
  for (const { parts } of entries)
    for (const { shard, operation } of parts) operations.get(shard.schema)?.push(operation);
  const queries = [...operations].map(([schema, ofShard]): RowsQuery => ({ schema, operations: ofShard }));
  return readRows(connection, queries, untilMs);
}

async function readRows(connection: Connection, queries: readonly RowsQuery[], untilMs: DeadlineMs): Promise<Found> {
  if (queries.length === 0) return new Map();
  const answers = await lookUp(connection, queries, untilMs);
  return new Map(queries.map(({ schema }, index) => [schema, answers[index] ?? NOTHING]));
}

/** The work of a batch on one shard. */
interface ShardWork {
  readonly schema: string;
  readonly ledger: Ledger;
  readonly wrongShard: ReadonlySet<string>;
  /** SKUs of the decided operations: their slots must belong to the shard. */
  readonly sku_ids: string[];
}

/** @param undecidable operations that cannot be decided; the others are decided without them */
function decideAll(
  batch: Batch,
  found: Found,
  undecidable: ReadonlyMap<BatchEntry, unknown> = new Map(),
): { readonly decisions: Decisions; readonly shards: readonly ShardWork[] } {
  const shards = batch.schemas.map((schema): ShardWork => {
    const { reading, wrongShard } = found.get(schema) ?? NOTHING;
    return { schema, ledger: new Ledger(reading), wrongShard, sku_ids: [] };
  });
  const bySchema = new Map(shards.map((work) => [work.schema, work]));
  const workOf = ({ shard }: BatchEntry['parts'][number]): ShardWork => {
    const work = bySchema.get(shard.schema);
    if (work === undefined) throw new Error(`a batch has an operation for ${shard.schema}, which it does not list`);
    return work;
  };
  const decisions: EntryDecision[] = [];
  for (const entry of batch.entries) {
    if (undecidable.has(entry)) {
      decisions.push({ is: 'undecidable', error: undecidable.get(entry) });
      continue;
    }
    if (entry.parts.some((part) => isForeign(workOf(part), part.operation))) {
      decisions.push({ is: 'not_mine' });
      continue;
    }
    try {
      decisions.push(decideParts(entry.parts, (part) => workOf(part).ledger));
    } catch (error) {
      // The ledgers may hold half of this operation, so the batch is decided again from the start.
      return decideAll(batch, found, new Map([...undecidable, [entry, error]]));
    }
    for (const part of entry.parts) workOf(part).sku_ids.push(...ownedSkusOf(part.operation));
  }
  return { decisions, shards };
}

function isForeign({ wrongShard }: ShardWork, operation: BatchOperation): boolean {
  return wrongShard.size > 0 && ownedSkusOf(operation).some((sku_id) => wrongShard.has(sku_id));
}

function isEmpty(writeSet: WriteSet): boolean {
  return writeSet.completedHolds.length === 0 && !changesAnything(writeSet);
}

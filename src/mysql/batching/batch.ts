import { ownedSkusOf } from '../../core/operation.ts';
import { decide } from '../../core/ledger/decide.ts';
import type { Batchable, Decision } from '../../core/ledger/decide.ts';
import { Ledger } from '../../core/ledger/ledger.ts';
import type { Reading, WriteSet } from '../../core/ledger/ledger.ts';
import type { DeadlineMs, FlowKey } from '../../core/nouns.ts';
import type { NotMine, OutcomeOf } from '../../core/outcome.ts';
import type { Connection } from '../connection.ts';
import { CommitUnanswered, Raced, SERVER_ERROR, ServerError, Unavailable } from '../failures.ts';
import { applyBatch, BATCH_ERROR, partValues } from '../sql/applyBatch.ts';
import { lookUp } from '../sql/lookUp.ts';
import type { LookedUp, Question } from '../sql/lookUp.ts';
import type { Doubt, Hints } from './hints.ts';
import type { ShardClock } from './shardClock.ts';

/** An operation that cannot be decided: what the shard holds contradicts itself. */
export interface Undecidable {
  readonly is: 'undecidable';
  readonly error: unknown;
}

/** What is said of each operation of one shard, in their order. */
export type Decisions = readonly (Decision | NotMine | Undecidable)[];

/** A COMMIT may have happened; and what it would have meant, part by part. */
export class BatchUnanswered extends CommitUnanswered {
  readonly intended: readonly Decisions[];
  /** By the clock of the shards' server: before any of it was sent, though perhaps a little earlier. */
  readonly begun: string;
  /** When the shards begin to refuse the batch, by the same clock. */
  readonly deadline: string;

  constructor(reason: string, intended: readonly Decisions[], begun: string, deadline: string) {
    super(reason);
    this.intended = intended;
    this.begun = begun;
    this.deadline = deadline;
  }
}

/** How often a batch is decided anew because others had changed a row of it meanwhile. */
const TRIES_MAX = 6;

const NOTHING: LookedUp = {
  reading: {
    flows: new Map(),
    shelves: new Map(),
    returns: new Map(),
    adjustments: new Map(),
    transfers: new Map(),
    totals: new Map(),
  },
  foreign: new Set(),
};

/** A row is otherwise than the batch thought. */
const CHANGED: ReadonlySet<number> = new Set([
  SERVER_ERROR.duplicateKey,
  SERVER_ERROR.deadlock,
  BATCH_ERROR.notMine,
  BATCH_ERROR.flowChanged,
  BATCH_ERROR.stockChanged,
  BATCH_ERROR.limitPassed,
]);
/** With less time than this left a batch would only be waited for in vain. */
const SEND_MS_MIN = 50;

/**
 * Decides operations and writes what they change, in one transaction of one round trip. Usually nothing is read before:
 * ids are new and there is enough. Where that is not so, or cannot be, everything is looked up and decided by what was found.
 *
 * @param parts operations by shard, the shards on one server and in the same order everywhere
 * @param hints tell what may be decided without looking; told of what was read
 * @param untilMs when the shards are to refuse the batch
 * @returns what was decided, part by part; all that was to be written is
 * @throws BatchUnanswered when it may have happened; anything else without effect
 */
export async function runBatch(
  connection: Connection,
  clock: ShardClock,
  parts: readonly Question[],
  hints: Hints,
  untilMs: DeadlineMs,
): Promise<readonly Decisions[]> {
  const begun = clock.earliest(performance.now());
  let found = await lookUpUnsure(connection, parts, hints, untilMs);
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const decided = parts.map((part, index) => decideAll(part, found[index] ?? NOTHING));
    const intended = decided.map(({ decisions }) => decisions);
    const deadline = clock.latest(untilMs);
    const writes = decided.flatMap(({ part: { schema }, sku_ids, writeSet }) =>
      isEmpty(writeSet) ? [] : [{ schema, values: partValues(deadline, sku_ids, writeSet) }],
    );
    if (writes.length === 0) return intended;
    if (performance.now() + SEND_MS_MIN > untilMs) throw new Unavailable('it was too late to send the batch');
    try {
      await applyBatch(connection, writes, untilMs);
      return intended;
    } catch (error) {
      if (error instanceof CommitUnanswered) throw new BatchUnanswered(error.message, intended, begun, deadline);
      if (!(error instanceof ServerError && CHANGED.has(error.number))) throw error;
      found = await lookUp(connection, parts, untilMs);
      for (const { reading } of found) hints.note(reading);
    }
  }
  throw new Raced('others changed the same rows all the time');
}

/** Looks at what cannot be guessed, if there is anything. @returns what was found, part by part */
async function lookUpUnsure(
  connection: Connection,
  parts: readonly Question[],
  hints: Hints,
  untilMs: DeadlineMs,
): Promise<readonly LookedUp[]> {
  const unsure = parts.map(({ schema, operations }): Question => {
    const inDoubt: Record<Doubt, Batchable[]> = { nothing: [], ids: [], all: [] };
    for (const operation of operations) inDoubt[hints.doubtOf(operation)].push(operation);
    return { schema, operations: inDoubt.all, idsOnly: inDoubt.ids };
  });
  const isAsked = ({ operations, idsOnly = [] }: Question): boolean => operations.length + idsOnly.length > 0;
  const asked = unsure.filter(isAsked);
  if (asked.length === 0) return [];
  const found = await lookUp(connection, asked, untilMs);
  for (const { reading } of found) hints.note(reading);
  const answers = found.values();
  return unsure.map((part) => (isAsked(part) ? (answers.next().value ?? NOTHING) : NOTHING));
}

interface Decided {
  readonly part: Question;
  readonly decisions: Decisions;
  /** SKUs of which something was decided and whose slots must be the shard's. */
  readonly sku_ids: readonly string[];
  readonly writeSet: WriteSet;
}

/** @param undecidable operations that nobody can decide; who went along with them is decided without them */
function decideAll(part: Question, found: LookedUp, undecidable: ReadonlyMap<Batchable, unknown> = new Map()): Decided {
  const ledger = new Ledger(found.reading);
  const sku_ids: string[] = [];
  const decisions: Decisions[number][] = [];
  for (const operation of part.operations) {
    const ofOperation = ownedSkusOf(operation);
    if (undecidable.has(operation)) decisions.push({ is: 'undecidable', error: undecidable.get(operation) });
    else if (found.foreign.size > 0 && ofOperation.some((sku_id) => found.foreign.has(sku_id)))
      decisions.push({ is: 'not_mine' });
    else {
      try {
        decisions.push(decide(ledger, operation));
      } catch (error) {
        // Half of it may be in the ledger.
        return decideAll(part, found, new Map([...undecidable, [operation, error]]));
      }
      sku_ids.push(...ofOperation);
    }
  }
  return { part, decisions, sku_ids, writeSet: ledger.writeSet() };
}

function isEmpty(writeSet: WriteSet): boolean {
  return writeSet.settled.length === 0 && !changesAnything(writeSet);
}

/** Notes of holds that are struck out change nothing by themselves. */
function changesAnything({ flows, shelves, returns, adjustments, transfers }: WriteSet): boolean {
  return flows.length + shelves.length + returns.length + adjustments.length + transfers.length > 0;
}

/**
 * What became of an operation whose batch was not answered, by the rows as they stand when nothing of it can come any more.
 *
 * @param isOlder whether a flow was there before the batch: it was taken for new then, so the shard has refused the batch
 */
export function recallOne(
  operation: Batchable,
  intended: Decisions[number],
  reading: Reading,
  isOlder: (key: FlowKey) => boolean = () => false,
): OutcomeOf<Batchable> {
  const undone = { is: 'not_done', reason: 'its batch was undone' } as const;
  const ledger = new Ledger(reading);
  const now = decide(ledger, operation);
  if (changesAnything(ledger.writeSet()) || now.is === 'deferred' || now.is === 'lacking') return undone;
  const takenForNew =
    intended.is === 'deducted' || intended.is === 'held' ? intended.lines.filter(({ replayed }) => !replayed) : [];
  const wasWrong = takenForNew.some(isOlder);
  if (now.is === intended.is) return now.is === 'refused' || wasWrong ? now : intended;
  // Cancelled since, it was deducted all the same.
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

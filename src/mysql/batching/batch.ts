import { skusOf } from '../../core/operation.ts';
import { decide } from '../../core/ledger/decide.ts';
import type { Batchable, Decision } from '../../core/ledger/decide.ts';
import { Ledger } from '../../core/ledger/ledger.ts';
import type { Reading } from '../../core/ledger/ledger.ts';
import type { DeadlineMs, FlowKey } from '../../core/nouns.ts';
import type { NotMine, OutcomeOf } from '../../core/outcome.ts';
import type { Connection } from '../connection.ts';
import { CommitUnanswered, Raced, reasonOf, SERVER_ERROR, ServerError } from '../failures.ts';
import { APPLY_BATCH, BATCH_ERROR, batchValues } from '../sql/applyBatch.ts';
import { lookUp } from '../sql/lookUp.ts';
import type { LookedUp } from '../sql/lookUp.ts';
import type { ShardClock } from './shardClock.ts';

/** What is said of each operation of a batch, in their order. */
export type Decisions = readonly (Decision | NotMine)[];

/** A COMMIT may have happened; and what it would have meant. */
export class BatchUnanswered extends CommitUnanswered {
  readonly intended: Decisions;
  /** When the shard begins to refuse the batch, by its own clock. */
  readonly deadline: string;

  constructor(reason: string, intended: Decisions, deadline: string) {
    super(reason);
    this.intended = intended;
    this.deadline = deadline;
  }
}

/** How often a batch is decided anew because others had changed a row of it meanwhile. */
const TRIES_MAX = 6;

const NOTHING: LookedUp = { reading: { flows: new Map(), shelves: new Map(), returns: new Map(), adjustments: new Map() }, foreign: new Set() };

/** A row is otherwise than the batch thought. */
const CHANGED: ReadonlySet<number> = new Set([SERVER_ERROR.duplicateKey, SERVER_ERROR.deadlock, BATCH_ERROR.notMine, BATCH_ERROR.flowChanged, BATCH_ERROR.stockChanged]);
/** Errors that come before COMMIT or instead of it. After any other one nobody knows: a server that shuts down may say it while it commits. */
const UNDONE: ReadonlySet<number> = new Set([...CHANGED, BATCH_ERROR.late, SERVER_ERROR.lockWaitTimeout, SERVER_ERROR.readOnly, SERVER_ERROR.readOnlyMode]);

/**
 * Decides operations and writes what they change, in one transaction of one round trip. Usually nothing is read before:
 * ids are new and there is enough. Where that is not so, or cannot be, everything is looked up and decided by what was found.
 *
 * @param guess whether an operation may be decided without looking
 * @param untilMs when the shard is to refuse the batch
 * @returns what was decided; all that was to be written is
 * @throws BatchUnanswered when it may have happened; anything else without effect
 */
export async function runBatch(
  connection: Connection,
  clock: ShardClock,
  operations: readonly Batchable[],
  guess: (operation: Batchable) => boolean,
  untilMs: DeadlineMs,
): Promise<Decisions> {
  const from = { rows: <Row>(sql: string, values: Parameters<Connection['rows']>[1]) => connection.rows<Row>(sql, values, untilMs) };
  const unsure = operations.filter((operation) => !guess(operation));
  let found = unsure.length === 0 ? NOTHING : await lookUp(from, unsure);
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const { decisions, writes, isEmpty } = decideAll(operations, found);
    if (isEmpty) return decisions;
    const deadline = clock.textOf(untilMs);
    try {
      await connection.run(APPLY_BATCH, batchValues(deadline, operations.flatMap(skusOf), writes), untilMs);
      return decisions;
    } catch (error) {
      if (!(error instanceof ServerError) || !UNDONE.has(error.number)) throw new BatchUnanswered(reasonOf(error), decisions, deadline);
      if (!CHANGED.has(error.number)) throw error;
      found = await lookUp(from, operations);
    }
  }
  throw new Raced('others changed the same rows all the time');
}

function decideAll(operations: readonly Batchable[], { reading, foreign }: LookedUp) {
  const ledger = new Ledger(reading);
  const decisions = operations.map((operation): Decision | NotMine =>
    foreign.size > 0 && skusOf(operation).some((sku_id) => foreign.has(sku_id)) ? { is: 'not_mine' } : decide(ledger, operation),
  );
  const writes = ledger.writeSet();
  return { decisions, writes, isEmpty: Object.values(writes).every((rows: readonly unknown[]) => rows.length === 0) };
}

/** What became of an operation whose batch was not answered, by the rows as they stand when nothing of it can come any more. */
export function recallOne(operation: Batchable, intended: Decision | NotMine, reading: Reading): OutcomeOf<Batchable> {
  const ledger = new Ledger(reading);
  const now = decide(ledger, operation);
  const isUndone = Object.values(ledger.writeSet()).some((rows: readonly unknown[]) => rows.length > 0);
  // Cancelled since, it was deducted all the same.
  const stands = now.is === intended.is || (intended.is === 'deducted' && 'lines' in operation && operation.lines.every((line) => wasDeducted(ledger, operation, line)));
  if (isUndone || !stands) return { is: 'not_done', reason: 'its batch was undone' };
  return now.is === 'refused' ? now : (intended as OutcomeOf<Batchable>);
}

function wasDeducted(ledger: Ledger, { order_id }: { readonly order_id: string }, line: FlowKey & { readonly quantity?: number }): boolean {
  const flow = ledger.flow(line);
  return flow !== null && flow.order_id === order_id && flow.quantity === line.quantity && (flow.status === 'deducted' || flow.status === 'cancelled');
}

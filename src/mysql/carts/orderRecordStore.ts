import { randomBytes } from 'node:crypto';
import type { DeadlineMs, OrderTransaction, ShardIndex } from '../../core/types.ts';
import type { NotDone, OutcomeInDoubt, ReadFailure, WrongShard } from '../../core/outcome.ts';
import type { FoundCartState } from '../../core/ports/cartRecords.ts';
import type { DeletedRecords, OrderRecords } from '../../core/ports/orderRecords.ts';
import type { ReportUnreadable } from '../../core/unreadableRow.ts';
import { errorText } from '../../core/text/errorText.ts';
import { commitChange } from '../connection/commitChange.ts';
import type { Change } from '../connection/commitChange.ts';
import { CommitUnanswered, hadNoEffect, Raced } from '../connection/failures.ts';
import type { Unreadable } from '../connection/failures.ts';
import { reportingUnreadable } from '../connection/reportingUnreadable.ts';
import { withRetries } from '../connection/retries.ts';
import { transact } from '../connection/transaction.ts';
import { RECORDS_ONLY_LEVEL } from '../migrations/schemaLevel.ts';
import type { Shard } from '../shard.ts';
import { deleteOldAborted, insertAborted, isAbandoned, lockRecord } from '../sql/carts/orderRecords.ts';

/** The transactions of one gateway are numbered in 32 bits. The time in their ids differs before a number returns. */
const BEGUN_MAX = 2 ** 32;

/** Records of transactions in MySQL. A record is addressed by its shard, and never moves. */
export class OrderRecordStore implements OrderRecords {
  /** Random, so that no two gateways ever give the same id. */
  readonly #name = randomBytes(6).toString('hex');
  #begun = 0;
  readonly #shards: readonly Shard[];
  readonly #onUnreadable: ReportUnreadable;

  /** @param onUnreadable called for each record that cannot be read */
  constructor(shards: readonly Shard[], onUnreadable: ReportUnreadable = () => undefined) {
    this.#shards = shards;
    this.#onUnreadable = onUnreadable;
  }

  begin(coordinator: ShardIndex): OrderTransaction {
    const nowMs = this.#shard(coordinator).clock.latestMs(performance.now()) ?? Date.now();
    const began = Math.floor(nowMs).toString(16).padStart(12, '0');
    this.#begun = (this.#begun + 1) % BEGUN_MAX;
    return { transaction_id: began + this.#name + this.#begun.toString(16).padStart(8, '0'), coordinator };
  }

  areUsable(shards: readonly ShardIndex[]): boolean {
    return shards.every((shard) => this.#shard(shard).isAtLevel(RECORDS_ONLY_LEVEL));
  }

  async resolve(
    transaction: OrderTransaction,
    order_id: string,
    deadlineMs: DeadlineMs,
  ): Promise<FoundCartState | NotDone | OutcomeInDoubt> {
    const { coordinator } = transaction;
    const report = ({ message: reason }: Unreadable): void =>
      this.#onUnreadable({ kind: 'cart', shard: coordinator, row: `order ${JSON.stringify(order_id)}`, reason });
    const change = reportingUnreadable(resolveChange(transaction, order_id), report);
    const ended = await commitChange(this.#shard(coordinator), deadlineMs, change);
    if (ended.is === 'not_mine') throw new Error('the record of a transaction belongs to the shard that it names');
    return ended;
  }

  async deleteAborted(shard: ShardIndex, max: number, deadlineMs: DeadlineMs): Promise<DeletedRecords | ReadFailure> {
    const { pool, retryBudget } = this.#shard(shard);
    try {
      const count = await withRetries(deadlineMs, retryBudget, () =>
        transact(pool, deadlineMs, async (transaction) => ({
          keep: true,
          value: await deleteOldAborted(transaction, max),
        })),
      );
      return { is: 'deleted', count };
    } catch (error) {
      // Records that an unanswered COMMIT has not deleted are found again.
      if (hadNoEffect(error) || error instanceof CommitUnanswered) return { is: 'not_done', reason: errorText(error) };
      throw error;
    }
  }

  #shard(index: ShardIndex): Shard {
    const shard = this.#shards[index];
    if (shard === undefined) throw new RangeError(`there is no shard ${index}`);
    return shard;
  }
}

function resolveChange(decided: OrderTransaction, order_id: string): Change<FoundCartState | WrongShard> {
  return {
    async attempt(transaction) {
      const state = await lockRecord(transaction, decided);
      if (state !== null) return { keep: false, value: { is: 'judged', state } };
      if (!(await isAbandoned(transaction, decided))) return { keep: false, value: { is: 'judged', state: 'open' } };
      if (!(await insertAborted(transaction, decided, order_id)))
        throw new Raced('another transaction inserted the record between two statements');
      return { keep: true, value: { is: 'judged', state: 'aborted' } };
    },
    async resolveInDoubt(transaction) {
      const state = await lockRecord(transaction, decided);
      return state === null ? null : { is: 'judged', state };
    },
  };
}

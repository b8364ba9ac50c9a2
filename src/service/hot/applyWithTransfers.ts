import { flowKeyText, stockRowKeyText } from '../../core/types.ts';
import type { DeadlineMs, Hold, ShardIndex, Transfer } from '../../core/types.ts';
import { namesSubRow } from '../../core/operation.ts';
import type { Adjust, Deduct, HoldLines, LineWithRow, ShardOperation } from '../../core/operation.ts';
import { refused, refusedLines } from '../../core/outcome.ts';
import type { StaleLayout, NotDone, OutcomeOf, BlockedByHolds, Refused, RefusedLine } from '../../core/outcome.ts';
import { applyJointly } from '../orders/applyByGroup.ts';
import { applyOperation } from '../orders/applyOperation.ts';
import type { ServicePorts } from '../servicePorts.ts';
import type { StockRequestOutcome, StockRequest } from './stockRequest.ts';
import { receiveAll } from './transfers.ts';
import { readWholeStock } from './readWholeStock.ts';

/** The time limit of crediting in the background, after the answer. */
const CREDIT_MS = 2_000;

/** An operation that takes units. */
type TakingOperation = Deduct | HoldLines | Adjust;
type TakingLine = LineWithRow & { readonly shard: ShardIndex };

/** The ports for operations that may need transfers. */
export type ApplyWithTransfersPorts = Pick<ServicePorts, 'engine' | 'hot' | 'backgroundTasks'>;

/**
 * Applies an operation that takes units on one shard. When a row of a split SKU has too few units, the rest is fetched
 * from the other rows and credited in the transaction of the operation. `insufficient_stock` is returned only when all
 * rows together have too few.
 */
export async function applyWithTransfers<O extends TakingOperation>(
  ports: ApplyWithTransfersPorts,
  shard: ShardIndex,
  operation: O,
  deadlineMs: DeadlineMs,
): Promise<OutcomeOf<O>> {
  const first = await applyOperation(ports.engine, shard, operation, deadlineMs);
  return fetchIfShort(ports, [{ shard, operation }], first, deadlineMs);
}

/**
 * The same for the parts of an operation on several shards of one group. The transfers for all lines are fetched at
 * once.
 *
 * @param parts at least one
 */
export async function applyJointlyWithTransfers<O extends Deduct | HoldLines>(
  ports: ApplyWithTransfersPorts,
  parts: readonly ShardOperation<O>[],
  deadlineMs: DeadlineMs,
): Promise<OutcomeOf<O>> {
  const first = await applyJointly(ports.engine, parts, deadlineMs);
  return fetchIfShort(ports, parts, first, deadlineMs);
}

async function fetchIfShort<O extends TakingOperation>(
  ports: ApplyWithTransfersPorts,
  parts: readonly ShardOperation<O>[],
  first: OutcomeOf<O>,
  deadlineMs: DeadlineMs,
): Promise<OutcomeOf<O>> {
  const operations = parts.map(({ operation }) => operation);
  if (first.is !== 'refused' || !isShort(operations, first)) return first;
  return (await new ApplyWithTransfers(ports, parts, deadlineMs).run(first)) as OutcomeOf<O>;
}

/** Whether a row of a split SKU has too few units, perhaps among other reasons. */
function isShort(operations: readonly TakingOperation[], { code, lines }: Refused): boolean {
  return (
    operations.some(namesSubRow) &&
    (code === 'insufficient_stock' || lines.some((line) => line.code === 'insufficient_stock'))
  );
}

class ApplyWithTransfers {
  readonly #ports: ApplyWithTransfersPorts;
  readonly #parts: readonly ShardOperation<TakingOperation>[];
  readonly #deadlineMs: DeadlineMs;
  /** The lines of all parts; for an adjustment, null. */
  readonly #lines: readonly TakingLine[];
  readonly #adjustment: ShardOperation<Adjust> | null;

  constructor(
    ports: ApplyWithTransfersPorts,
    parts: readonly ShardOperation<TakingOperation>[],
    deadlineMs: DeadlineMs,
  ) {
    this.#ports = ports;
    this.#parts = parts;
    this.#deadlineMs = deadlineMs;
    this.#adjustment = parts.find((part): part is ShardOperation<Adjust> => part.operation.kind === 'adjust') ?? null;
    this.#lines = parts.flatMap(({ shard, operation }) =>
      operation.kind === 'adjust' ? [] : operation.lines.map((line) => ({ ...line, shard })),
    );
  }

  async run(refusal: Refused): Promise<OutcomeOf<TakingOperation>> {
    for (let last = refusal; ;) {
      if (this.#isTrial() || this.#isFinal(last)) return this.#checkAllRows(last);
      const requests = this.#requestsOf(last);
      const answers = await Promise.all(
        requests.map((request) => this.#ports.hot.rebalancer.fetch(request, this.#deadlineMs)),
      );
      const credits = answers.flatMap((each) => (each.is === 'fetched' ? each.credits : []));
      const failure = await this.#failureOf(last, requests, answers);
      if (failure !== null) return this.#end(failure, credits);
      const outcome = await this.#applyAgain(credits);
      if (outcome.is !== 'refused' || outcome.code !== 'insufficient_stock') return this.#end(outcome, credits);
      // Another gateway credited the units and they were sold, so all of them have to be fetched again.
      await receiveAll(this.#ports.hot, credits, this.#deadlineMs);
      last = outcome;
    }
  }

  #applyAgain(credits: readonly Transfer[]): Promise<OutcomeOf<TakingOperation>> {
    const { engine } = this.#ports;
    if (this.#adjustment !== null) {
      const { shard, operation } = this.#adjustment;
      return applyOperation(engine, shard, { ...operation, credits }, this.#deadlineMs);
    }
    const parts = this.#parts.flatMap(({ shard, operation }) =>
      operation.kind === 'adjust'
        ? []
        : [{ shard, operation: { ...operation, credits: credits.filter(({ to }) => to.shard === shard) } }],
    );
    return applyJointly<Deduct | HoldLines>(engine, parts, this.#deadlineMs);
  }

  /** One stock request for each row that has too few units. */
  #requestsOf(refusal: Refused): StockRequest[] {
    const requests = new Map<string, StockRequest>();
    for (const { sku_id, shard, row, quantity } of this.#shortLinesOf(refusal)) {
      if (row === undefined) continue;
      const key = stockRowKeyText(sku_id, row.sub_row);
      const units = quantity + (requests.get(key)?.units ?? 0);
      requests.set(key, {
        sku_id,
        to: { shard, sub_row: row.sub_row },
        units,
        waitsForHolds: this.#adjustment === null,
      });
    }
    return [...requests.values()];
  }

  #shortLinesOf({ lines }: Refused): Pick<TakingLine, 'sku_id' | 'shard' | 'row' | 'quantity'>[] {
    if (this.#adjustment !== null) {
      const { shard, operation } = this.#adjustment;
      const { sku_id, row, delta } = operation;
      return [{ sku_id, shard, quantity: -delta, ...(row === undefined ? {} : { row }) }];
    }
    const refusedKeys = new Set(lines.filter(({ code }) => code === 'insufficient_stock').map(flowKeyText));
    return this.#lines.filter((line) => refusedKeys.has(flowKeyText(line)));
  }

  #isTrial(): boolean {
    return this.#parts.some(({ operation }) => operation.kind === 'hold' && operation.isTrial === true);
  }

  /** Whether a line is refused for a reason that units of other rows cannot change. */
  #isFinal(refusal: Refused): boolean {
    return refusal.code !== 'insufficient_stock' || this.#shortLinesOf(refusal).some(({ row }) => row === undefined);
  }

  /**
   * Returns the same refusal without the lines that the SKU's other rows could serve, also with held units that come
   * back.
   *
   * @param ownHolds true: all held units belong to this order, so none comes back while it waits for them
   */
  async #checkAllRows(refusal: Refused, ownHolds = false): Promise<Refused | NotDone> {
    const lines: RefusedLine[] = [];
    for (const line of refusal.lines) {
      const isOneOfMany = this.#lines.some((own) => own.row !== undefined && flowKeyText(own) === flowKeyText(line));
      const layout =
        line.code === 'insufficient_stock' && isOneOfMany ? this.#ports.hot.layouts.cached(line.sku_id) : null;
      const state = layout === null ? null : await readWholeStock(this.#ports.hot, layout, this.#deadlineMs);
      if (state === null) lines.push(line);
      else if ('is' in state) return state;
      else if (state.fault !== null) return { is: 'not_done', reason: state.fault };
      else if (line.quantity > state.sellable + (ownHolds ? 0 : state.held))
        lines.push({ ...line, leaved_amount: state.sellable });
    }
    if (lines.length === 0) return { is: 'not_done', reason: 'units of other rows may serve all lines' };
    return refusedLines(lines);
  }

  async #failureOf(
    refusal: Refused,
    requests: readonly StockRequest[],
    answers: readonly StockRequestOutcome[],
  ): Promise<Refused | BlockedByHolds | NotDone | StaleLayout | null> {
    const moved = answers.find((each): each is StaleLayout => each.is === 'moved');
    if (moved !== undefined) return moved;
    const failed = answers.find((each): each is NotDone => each.is === 'not_done');
    if (failed !== undefined) return failed;
    const short = new Map<string, number>();
    answers.forEach((each, index) => {
      const request = requests[index];
      if (each.is === 'short' && request !== undefined)
        short.set(stockRowKeyText(request.sku_id, request.to.sub_row), each.leaved_amount);
    });
    if (short.size > 0) return this.#refusalOf(refusal, short, answers);
    const holds = answers.flatMap((each) => (each.is === 'pending' ? each.holds : []));
    if (holds.length === 0) return null;
    // Units that the order holds itself do not come back while it waits for them.
    return holds.every((hold) => this.#isOwn(hold)) ? this.#checkAllRows(refusal, true) : { is: 'pending', holds };
  }

  #refusalOf(
    refusal: Refused,
    short: ReadonlyMap<string, number>,
    answers: readonly StockRequestOutcome[],
  ): Refused | NotDone {
    if (this.#adjustment !== null) {
      const inRows = Math.max(...answers.map((each) => (each.is === 'short' ? each.amount_in_rows : 0)));
      if (inRows < -this.#adjustment.operation.delta)
        return { ...refused('insufficient_stock'), leaved_amount: inRows };
      return { is: 'not_done', reason: 'units that came in recently cannot leave their row yet' };
    }
    const rows = new Map(this.#lines.map((line) => [flowKeyText(line), line.row?.sub_row ?? 0]));
    return refusedLines(
      refusal.lines.flatMap((line) => {
        const leaved_amount = short.get(stockRowKeyText(line.sku_id, rows.get(flowKeyText(line)) ?? 0));
        return leaved_amount === undefined ? [] : [{ ...line, leaved_amount }];
      }),
    );
  }

  #isOwn({ transaction }: Hold): boolean {
    return (
      transaction !== undefined &&
      this.#parts.some(
        ({ operation }) =>
          operation.kind !== 'adjust' && operation.transaction?.transaction_id === transaction.transaction_id,
      )
    );
  }

  /**
   * Credits the fetched units that the operation did not, and clears their transfers where they left. This happens in
   * the background, after the answer.
   */
  #end<T extends { readonly is: string }>(outcome: T, credits: readonly Transfer[]): T {
    const { hot, backgroundTasks } = this.#ports;
    if (credits.length > 0) backgroundTasks.add(() => receiveAll(hot, credits, performance.now() + CREDIT_MS));
    return outcome;
  }
}

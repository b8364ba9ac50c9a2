import { flowKeyText, stockRowKeyText } from '../../core/types.ts';
import type { DeadlineMs, RowRef, ShardIndex, Transfer } from '../../core/types.ts';
import { namesSubRow } from '../../core/operation.ts';
import type { Adjust, Deduct, HoldLines } from '../../core/operation.ts';
import { refused, refusedLines } from '../../core/outcome.ts';
import type { StaleLayout, NotDone, OutcomeOf, BlockedByHolds, Refused, RefusedLine } from '../../core/outcome.ts';
import { applyOperation } from '../orders/applyOperation.ts';
import type { ServicePorts } from '../servicePorts.ts';
import type { StockRequestOutcome, StockRequest } from './stockRequest.ts';
import { receiveAll } from './transfers.ts';
import { readWholeStock } from './readWholeStock.ts';

/** The time limit of crediting in the background, after the answer. */
const CREDIT_MS = 2_000;

type TakingOperation = Deduct | HoldLines | Adjust;

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
  if (first.is !== 'refused' || !isShort(operation, first)) return first;
  return (await new ApplyWithTransfers(ports, shard, operation, deadlineMs).run(first)) as OutcomeOf<O>;
}

/** Whether a row of a split SKU has too few units, perhaps among other reasons. */
function isShort(operation: TakingOperation, { code, lines }: Refused): boolean {
  return (
    namesSubRow(operation) &&
    (code === 'insufficient_stock' || lines.some((line) => line.code === 'insufficient_stock'))
  );
}

class ApplyWithTransfers {
  readonly #ports: ApplyWithTransfersPorts;
  readonly #shard: ShardIndex;
  readonly #operation: TakingOperation;
  readonly #deadlineMs: DeadlineMs;

  constructor(ports: ApplyWithTransfersPorts, shard: ShardIndex, operation: TakingOperation, deadlineMs: DeadlineMs) {
    this.#ports = ports;
    this.#shard = shard;
    this.#operation = operation;
    this.#deadlineMs = deadlineMs;
  }

  async run(refusal: Refused): Promise<OutcomeOf<TakingOperation>> {
    for (let last = refusal; ;) {
      if (this.#isFinal(last)) return this.#checkAllRows(last);
      const requests = this.#requestsOf(last);
      const answers = await Promise.all(
        requests.map((request) => this.#ports.hot.rebalancer.fetch(request, this.#deadlineMs)),
      );
      const credits = answers.flatMap((each) => (each.is === 'fetched' ? each.credits : []));
      const failure = this.#failureOf(last, requests, answers);
      if (failure !== null) return this.#end(failure, credits);
      const outcome = await applyOperation<TakingOperation>(
        this.#ports.engine,
        this.#shard,
        { ...this.#operation, credits },
        this.#deadlineMs,
      );
      if (outcome.is !== 'refused' || outcome.code !== 'insufficient_stock') return this.#end(outcome, credits);
      // Another gateway credited the units and they were sold, so all of them have to be fetched again.
      await receiveAll(this.#ports.hot, credits, this.#deadlineMs);
      last = outcome;
    }
  }

  /** One stock request for each row that has too few units. */
  #requestsOf(refusal: Refused): StockRequest[] {
    const requests = new Map<string, StockRequest>();
    for (const { sku_id, row, quantity } of this.#linesOf(refusal)) {
      if (row === undefined) continue;
      const key = stockRowKeyText(sku_id, row.sub_row);
      const units = quantity + (requests.get(key)?.units ?? 0);
      requests.set(key, {
        sku_id,
        to: { shard: this.#shard, sub_row: row.sub_row },
        units,
        waitsForHolds: this.#operation.kind !== 'adjust',
      });
    }
    return [...requests.values()];
  }

  #linesOf({ lines }: Refused): { readonly sku_id: string; readonly row?: RowRef; readonly quantity: number }[] {
    if (this.#operation.kind === 'adjust') {
      const { sku_id, row, delta } = this.#operation;
      return [{ sku_id, quantity: -delta, ...(row === undefined ? {} : { row }) }];
    }
    const refusedKeys = new Set(lines.filter(({ code }) => code === 'insufficient_stock').map(flowKeyText));
    return this.#operation.lines.filter((line) => refusedKeys.has(flowKeyText(line)));
  }

  /** Whether a line is refused for a reason that units of other rows cannot change. */
  #isFinal(refusal: Refused): boolean {
    return refusal.code !== 'insufficient_stock' || this.#linesOf(refusal).some(({ row }) => row === undefined);
  }

  /** Returns the same refusal without the lines that the SKU's other rows could serve. */
  async #checkAllRows(refusal: Refused): Promise<Refused | NotDone> {
    const lines: RefusedLine[] = [];
    for (const line of refusal.lines) {
      const isOneOfMany =
        this.#operation.kind !== 'adjust' &&
        this.#operation.lines.some((own) => own.row !== undefined && flowKeyText(own) === flowKeyText(line));
      const layout =
        line.code === 'insufficient_stock' && isOneOfMany ? this.#ports.hot.layouts.cached(line.sku_id) : null;
      const state = layout === null ? null : await readWholeStock(this.#ports.hot, layout, this.#deadlineMs);
      if (state === null) lines.push(line);
      else if ('is' in state) return state;
      else if (state.fault !== null) return { is: 'not_done', reason: state.fault };
      else if (line.quantity > state.sellable) lines.push({ ...line, leaved_amount: state.sellable });
    }
    return refusedLines(lines);
  }

  #failureOf(
    refusal: Refused,
    requests: readonly StockRequest[],
    answers: readonly StockRequestOutcome[],
  ): Refused | BlockedByHolds | NotDone | StaleLayout | null {
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
    if (short.size > 0) {
      if (this.#operation.kind === 'adjust') {
        const inRows = Math.max(...answers.map((each) => (each.is === 'short' ? each.amount_in_rows : 0)));
        if (inRows < -this.#operation.delta) return { ...refused('insufficient_stock'), leaved_amount: inRows };
        return { is: 'not_done', reason: 'units that came in recently cannot leave their row yet' };
      }
      const rows = new Map(this.#operation.lines.map((line) => [flowKeyText(line), line.row?.sub_row ?? 0]));
      return refusedLines(
        refusal.lines.flatMap((line) => {
          const leaved_amount = short.get(stockRowKeyText(line.sku_id, rows.get(flowKeyText(line)) ?? 0));
          return leaved_amount === undefined ? [] : [{ ...line, leaved_amount }];
        }),
      );
    }
    const holds = answers.flatMap((each) => (each.is === 'pending' ? each.holds : []));
    return holds.length > 0 ? { is: 'pending', holds } : null;
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

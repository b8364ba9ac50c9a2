import { flowKeyText } from '../../src/core/nouns.ts';
import type { DeadlineMs, Flow, FlowKey, Line, ShardIndex } from '../../src/core/nouns.ts';
import { skusOf } from '../../src/core/operation.ts';
import type { Adjust, Deduct, Open, Operation } from '../../src/core/operation.ts';
import { refused, refusedLines } from '../../src/core/outcome.ts';
import type { AppliedOutcome, DeductOutcome, FoundFlows, FoundStock, OutcomeOf, ReadFailure, RefusedLine } from '../../src/core/outcome.ts';
import type { StockEngine, StockReader } from '../../src/core/ports.ts';
import type { SlotMap } from '../../src/core/slots.ts';
import { judgeStanding } from '../../src/core/standing.ts';
import { STOCK_LIMIT } from '../../src/core/nouns.ts';

/**
 * The contract in memory: one thread, no faults, no waiting. What an engine answers over a database must be what this
 * answers, operation by operation.
 */
export class Oracle implements StockEngine, StockReader {
  readonly #owners: SlotMap;
  readonly #stock = new Map<string, { opening: number; leaved: number }>();
  readonly #flows = new Map<string, Flow>();
  readonly #adjustments = new Map<string, number>();

  constructor(owners: SlotMap) {
    this.#owners = owners;
  }

  apply<O extends Operation>(shard: ShardIndex, operations: readonly O[], _deadlineMs: DeadlineMs): Promise<readonly OutcomeOf<O>[]> {
    return Promise.resolve(operations.map((operation) => this.#apply(shard, operation) as OutcomeOf<O>));
  }

  findFlows(shard: ShardIndex, keys: readonly FlowKey[], _deadlineMs: DeadlineMs): Promise<FoundFlows | ReadFailure> {
    if (!this.#owns(shard, keys.map((key) => key.sku_id))) return Promise.resolve({ is: 'not_mine' });
    return Promise.resolve({ is: 'found', flows: keys.map((key) => this.#flows.get(flowKeyText(key)) ?? null) });
  }

  readStock(shard: ShardIndex, sku_id: string, _deadlineMs: DeadlineMs): Promise<FoundStock | ReadFailure> {
    if (!this.#owns(shard, [sku_id])) return Promise.resolve({ is: 'not_mine' });
    const row = this.#stock.get(sku_id);
    return Promise.resolve({ is: 'found', rows: row ? [{ sku_id, sub_row: 0, leaved_amount: row.leaved }] : [] });
  }

  #owns(shard: ShardIndex, sku_ids: readonly string[]): boolean {
    return sku_ids.every((sku_id) => this.#owners.shardOf(sku_id) === shard);
  }

  #apply(shard: ShardIndex, operation: Operation): OutcomeOf<Operation> {
    if (!this.#owns(shard, skusOf(operation))) return { is: 'not_mine' };
    switch (operation.kind) {
      case 'deduct':
        return this.#deduct(operation);
      case 'adjust':
        return this.#adjust(operation);
      case 'open':
        return this.#open(operation);
    }
  }

  #deduct({ order_id, lines }: Deduct): DeductOutcome {
    const refusals = lines.flatMap((line) => this.#refuse(order_id, line, lines) ?? []);
    if (refusals.length > 0) return refusedLines(refusals);
    const answered = lines.map((line) => {
      const standing = this.#flows.get(flowKeyText(line));
      return { ...line, replayed: standing !== undefined, returned: standing?.returned ?? 0 };
    });
    for (const line of answered.filter(({ replayed }) => !replayed)) {
      const { sku_id, order_detail_id, quantity } = line;
      const row = this.#stock.get(sku_id);
      if (row !== undefined) row.leaved -= quantity;
      const flow: Flow = { sku_id, order_detail_id, quantity, order_id, returned: 0, status: 'deducted', sub_row: 0, created_at: '' };
      this.#flows.set(flowKeyText(line), flow);
    }
    return { is: 'deducted', lines: answered };
  }

  #refuse(order_id: string, line: Line, all: readonly Line[]): RefusedLine | null {
    const standing = this.#flows.get(flowKeyText(line));
    if (standing !== undefined) {
      const verdict = judgeStanding(order_id, line, standing);
      return verdict === 'replay' ? null : { ...line, code: verdict };
    }
    const row = this.#stock.get(line.sku_id);
    if (row === undefined) return { ...line, code: 'unknown_sku' };
    const wanted = all
      .filter(({ sku_id }) => sku_id === line.sku_id)
      .filter((other) => !this.#flows.has(flowKeyText(other)))
      .reduce((sum, { quantity }) => sum + quantity, 0);
    return wanted <= row.leaved ? null : { ...line, code: 'insufficient_stock', leaved_amount: row.leaved };
  }

  #adjust({ sku_id, adjustment_id, delta }: Adjust): AppliedOutcome {
    const key = `${sku_id}\0${adjustment_id}`;
    const standing = this.#adjustments.get(key);
    if (standing !== undefined) return standing === delta ? { is: 'applied', replayed: true } : refused('idempotency_conflict');
    const row = this.#stock.get(sku_id);
    if (row === undefined) return refused('unknown_sku');
    if (delta > 0 && row.leaved > STOCK_LIMIT - delta) return refused('stock_limit');
    if (row.leaved + delta < 0) return refused('insufficient_stock');
    row.leaved += delta;
    this.#adjustments.set(key, delta);
    return { is: 'applied', replayed: false };
  }

  #open({ sku_id, leaved_amount }: Open): AppliedOutcome {
    const row = this.#stock.get(sku_id);
    if (row !== undefined) return row.opening === leaved_amount ? { is: 'applied', replayed: true } : refused('sku_exists');
    this.#stock.set(sku_id, { opening: leaved_amount, leaved: leaved_amount });
    return { is: 'applied', replayed: false };
  }
}

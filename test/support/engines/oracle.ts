import { flowKeyText, STOCK_LIMIT } from '../../../src/core/types.ts';
import type { CartKey, DeadlineMs, Flow, FlowKey, Hold, Line, ShardIndex } from '../../../src/core/types.ts';
import { skusOf } from '../../../src/core/operation.ts';
import type {
  Adjust,
  Cancel,
  Deduct,
  HoldLines,
  JointOperation,
  Open,
  Operation,
  Return,
  SetSale,
  CompleteLines,
  ShardOperation,
} from '../../../src/core/operation.ts';
import { refused, refusedLines } from '../../../src/core/outcome.ts';
import type {
  AppliedOutcome,
  CancelOutcome,
  DeductedLine,
  DeductOutcome,
  FoundFlows,
  FoundStock,
  HoldOutcome,
  NotDone,
  OutcomeOf,
  BlockedByHolds,
  ReadFailure,
  Refused,
  RefusedLine,
  ReturnOutcome,
} from '../../../src/core/outcome.ts';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import type { StockReader } from '../../../src/core/ports/stockReader.ts';
import type { SlotMap } from '../../../src/core/slots.ts';
import { idStatusOf, isOfCart } from '../../../src/core/idStatus.ts';
import { cartOf, conflictOf, holdOfFlow, isFresh, newFlow, restOf, unitsOfLinesBySku } from './oracleFlows.ts';
import type { Judged } from './oracleFlows.ts';
import { OracleStockRow } from './oracleStockRow.ts';

type Claimed = { readonly is: 'claimed'; readonly lines: readonly DeductedLine[] } | Refused | BlockedByHolds | NotDone;

/**
 * The contract in memory: one thread, no faults, no waiting. An engine over a database must give the same answers,
 * operation by operation.
 */
export class Oracle implements StockEngine, StockReader {
  readonly #owners: SlotMap;
  readonly #rows = new Map<string, OracleStockRow>();
  readonly #flows = new Map<string, Flow>();
  readonly #adjustments = new Map<string, number>();
  readonly #returns = new Map<string, number>();

  constructor(owners: SlotMap) {
    this.#owners = owners;
  }

  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    _deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]> {
    return Promise.resolve(operations.map((operation) => this.#apply(shard, operation) as OutcomeOf<O>));
  }

  groupOf(_shard: ShardIndex): string {
    return 'oracle';
  }

  /** All lines are in one memory, so the parts are one operation with all their lines. */
  applyJointly<O extends JointOperation>(
    parts: readonly ShardOperation<O>[],
    _deadlineMs: DeadlineMs,
  ): Promise<OutcomeOf<O>> {
    const [first] = parts;
    if (first === undefined) throw new Error('an operation has at least one part');
    if (parts.some(({ shard, operation }) => !this.#owns(shard, skusOf(operation))))
      return Promise.resolve({ is: 'not_mine' } as OutcomeOf<O>);
    const lines = parts.flatMap(({ operation }) => operation.lines as readonly Line[]);
    const whole = { ...first.operation, lines } as JointOperation;
    return Promise.resolve(this.#carryOut(whole) as OutcomeOf<O>);
  }

  findFlows(shard: ShardIndex, keys: readonly FlowKey[], _deadlineMs: DeadlineMs): Promise<FoundFlows | ReadFailure> {
    if (
      !this.#owns(
        shard,
        keys.map((key) => key.sku_id),
      )
    )
      return Promise.resolve({ is: 'not_mine' });
    return Promise.resolve({ is: 'found', flows: keys.map((key) => this.#flow(key) ?? null) });
  }

  readStock(shard: ShardIndex, sku_id: string, _deadlineMs: DeadlineMs): Promise<FoundStock | ReadFailure> {
    if (!this.#owns(shard, [sku_id])) return Promise.resolve({ is: 'not_mine' });
    const row = this.#rows.get(sku_id);
    if (row === undefined) return Promise.resolve({ is: 'found', rows: [], sale: null });
    const rows = [{ sku_id, sub_row: 0, leaved_amount: row.leaved, isSplit: false }];
    return Promise.resolve({ is: 'found', rows, sale: row.sale });
  }

  #owns(shard: ShardIndex, sku_ids: readonly string[]): boolean {
    return sku_ids.every((sku_id) => this.#owners.shardOf(sku_id) === shard);
  }

  #apply(shard: ShardIndex, operation: Operation): OutcomeOf<Operation> {
    return this.#owns(shard, skusOf(operation)) ? this.#carryOut(operation) : { is: 'not_mine' };
  }

  #carryOut(operation: Operation): OutcomeOf<Operation> {
    switch (operation.kind) {
      case 'send':
      case 'receive':
        throw new Error('the oracle keeps one row per SKU');
      case 'deduct':
        return this.#deduct(operation);
      case 'hold':
        return this.#hold(operation);
      case 'settle':
        return this.#settle(operation);
      case 'return':
        return this.#return(operation);
      case 'cancel':
        return this.#cancel(operation);
      case 'adjust':
        return this.#adjust(operation);
      case 'open':
        return this.#open(operation);
      case 'sale':
        return this.#sale(operation);
    }
  }

  #deduct(operation: Deduct): DeductOutcome {
    const claimed = this.#claim(cartOf({ ...operation, attempt: 0 }), operation.lines, 'deducted');
    return claimed.is === 'claimed' ? { is: 'deducted', lines: claimed.lines } : claimed;
  }

  #hold(operation: HoldLines): HoldOutcome {
    const claimed = this.#claim(cartOf(operation), operation.lines, 'pending');
    return claimed.is === 'claimed' ? { is: 'held', lines: claimed.lines } : claimed;
  }

  #claim(cart: CartKey, lines: readonly Line[], status: 'deducted' | 'pending'): Claimed {
    const judged = lines.map((line): Judged => {
      const flow = this.#flow(line);
      return { line, idStatus: flow === undefined ? 'new' : idStatusOf(cart, line, flow) };
    });
    if (judged.some(({ idStatus }) => idStatus === 'late')) return { is: 'not_done', reason: 'too late' };
    const wanted = unitsOfLinesBySku(judged.filter(isFresh).map(({ line }) => line));
    const refusals = judged.flatMap((each) => this.#refusal(each, wanted) ?? []);
    if (refusals.length > 0) return refusedLines(refusals);
    const held = judged.filter(({ idStatus }) => idStatus === 'pending').flatMap(({ line }) => this.#flow(line) ?? []);
    if (held.length > 0) return { is: 'pending', holds: held.map(holdOfFlow) };
    const short = [...wanted].filter(([sku_id, units]) => units > this.#row(sku_id).leaved).map(([sku_id]) => sku_id);
    if (short.length > 0) return { is: 'pending', holds: this.#holdsOf(short) };
    return { is: 'claimed', lines: judged.map((each) => this.#take(cart, each, status)) };
  }

  #refusal({ line, idStatus }: Judged, wanted: ReadonlyMap<string, number>): RefusedLine | null {
    if (idStatus === 'idempotency_conflict' || idStatus === 'cancelled') return { ...line, code: idStatus };
    if (idStatus !== 'new' && idStatus !== 'free') return null;
    const row = this.#rows.get(line.sku_id);
    if (row === undefined) return { ...line, code: 'unknown_sku' };
    if (!row.isOnSale()) return { ...line, code: 'not_on_sale' };
    const isShort = (wanted.get(line.sku_id) ?? 0) > row.leaved + row.held;
    return isShort ? { ...line, code: 'insufficient_stock', leaved_amount: row.leaved } : null;
  }

  #take(cart: CartKey, { line, idStatus }: Judged, status: 'deducted' | 'pending'): DeductedLine {
    if (idStatus === 'replay') {
      const flow = this.#flow(line);
      return { ...line, replayed: flow?.status === 'deducted', returned: flow?.returned ?? 0 };
    }
    this.#row(line.sku_id).take(line.quantity, status === 'pending');
    this.#keep({ ...newFlow(line), ...cart, quantity: line.quantity, status });
    return { ...line, replayed: false, returned: 0 };
  }

  #holdsOf(sku_ids: readonly string[]): Hold[] {
    return [...this.#flows.values()]
      .filter(({ sku_id, status }) => status === 'pending' && sku_ids.includes(sku_id))
      .map(holdOfFlow);
  }

  #settle(operation: CompleteLines): AppliedOutcome {
    const done = operation.lines.map((line) => this.#settleLine(operation, line));
    return { is: 'applied', replayed: !done.includes(true) };
  }

  /** @returns whether something changed */
  #settleLine(operation: CompleteLines, line: Line): boolean {
    const { order_id, attempt, decision } = operation;
    const flow = this.#flow(line);
    if (operation.transaction !== undefined) {
      if (flow?.status !== 'pending' || !isOfCart(flow, operation)) return false;
      this.#row(flow.sku_id).settle(flow.quantity, decision);
      if (decision === 'committed') this.#keep({ ...flow, status: 'deducted' });
      else this.#flows.delete(flowKeyText(flow));
      return true;
    }
    if (flow === undefined) {
      if (decision === 'aborted')
        this.#keep({ ...newFlow(line), order_id, attempt, quantity: line.quantity, status: 'void' });
      return decision === 'aborted';
    }
    if (flow.order_id !== order_id) return false;
    if (flow.status === 'void' && decision === 'aborted' && flow.attempt < attempt) {
      this.#keep({ ...flow, attempt });
      return true;
    }
    if (flow.status !== 'pending' || flow.attempt !== attempt) return false;
    this.#row(flow.sku_id).settle(flow.quantity, decision);
    this.#keep({ ...flow, status: decision === 'committed' ? 'deducted' : 'void' });
    return true;
  }

  #return({ sku_id, order_detail_id, return_id, quantity }: Return): ReturnOutcome {
    const flow = this.#flow({ sku_id, order_detail_id });
    // A tombstone has no quantity: nothing was ever deducted under its ids.
    if (flow === undefined || flow.status === 'void' || flow.quantity === 0) return refused('unknown_deduction');
    if (flow.status === 'pending') return { is: 'pending', holds: [holdOfFlow(flow)] };
    const key = `${flowKeyText(flow)}\0${return_id}`;
    const earlier = this.#returns.get(key);
    if (earlier !== undefined && earlier !== quantity) return refused('idempotency_conflict');
    const returnable = flow.quantity - flow.returned;
    if (earlier !== undefined) return { is: 'returned', replayed: true, returned: flow.returned, returnable };
    if (quantity > returnable) return { ...refused('over_return'), returnable };
    this.#row(sku_id).giveBack(quantity);
    this.#returns.set(key, quantity);
    this.#keep({ ...flow, returned: flow.returned + quantity });
    return { is: 'returned', replayed: false, returned: flow.returned + quantity, returnable: returnable - quantity };
  }

  #cancel({ order_id, lines }: Cancel): CancelOutcome {
    const flows = lines.flatMap((key) => this.#flow(key) ?? []);
    const foreign = flows.filter(
      (flow) => flow.order_id !== order_id && (flow.status === 'deducted' || flow.status === 'cancelled'),
    );
    if (foreign.length > 0) return refusedLines(foreign.map(conflictOf));
    const held = flows.filter(({ status }) => status === 'pending');
    if (held.length > 0) return { is: 'pending', holds: held.map(holdOfFlow) };
    const isReplay = flows.length === lines.length && flows.every(({ status }) => status === 'cancelled');
    if (!isReplay) for (const key of lines) this.#writeTombstone(order_id, key);
    return { is: 'applied', replayed: isReplay };
  }

  #writeTombstone(order_id: string, key: FlowKey): void {
    const flow = this.#flow(key) ?? newFlow(key);
    if (restOf(flow) > 0) this.#row(flow.sku_id).giveBack(restOf(flow));
    const quantity = flow.status === 'void' ? 0 : flow.quantity;
    this.#keep({ ...flow, order_id, quantity, returned: quantity, status: 'cancelled' });
  }

  #adjust({ sku_id, adjustment_id, delta }: Adjust): AppliedOutcome {
    const key = `${sku_id}\0${adjustment_id}`;
    const recorded = this.#adjustments.get(key);
    if (recorded !== undefined)
      return recorded === delta ? { is: 'applied', replayed: true } : refused('idempotency_conflict');
    const row = this.#rows.get(sku_id);
    if (row === undefined) return refused('unknown_sku');
    if (!row.adjust(delta)) {
      if (delta > 0) return refused('stock_limit');
      return { ...refused('insufficient_stock'), leaved_amount: row.leaved };
    }
    this.#adjustments.set(key, delta);
    return { is: 'applied', replayed: false };
  }

  #open({ sku_id, leaved_amount }: Open): AppliedOutcome {
    const row = this.#rows.get(sku_id);
    if (row?.opening === leaved_amount) return { is: 'applied', replayed: true };
    if (row !== undefined) return { ...refused('sku_exists'), opened_with: row.opening };
    this.#rows.set(sku_id, new OracleStockRow(leaved_amount, STOCK_LIMIT));
    return { is: 'applied', replayed: false };
  }

  #sale({ sku_id, state, from }: SetSale): AppliedOutcome {
    const row = this.#rows.get(sku_id);
    if (row === undefined) return refused('unknown_sku');
    row.sell(state, from);
    return { is: 'applied', replayed: false };
  }

  #flow(key: FlowKey): Flow | undefined {
    return this.#flows.get(flowKeyText(key));
  }

  #keep(flow: Flow): void {
    this.#flows.set(flowKeyText(flow), flow);
  }

  #row(sku_id: string): OracleStockRow {
    const row = this.#rows.get(sku_id);
    if (row === undefined) throw new Error(`${sku_id} has flows and no stock row`);
    return row;
  }
}

import type { CartKey, Flow, FlowKey, Hold, Line, CommitDecision } from '../../../src/core/types.ts';
import type { Operation } from '../../../src/core/operation.ts';
import type { OutcomeOf, BlockedByHolds, Refused, RefusalCode, RefusedLine } from '../../../src/core/outcome.ts';
import { fresh } from '../gateway/gateway.ts';
import type { Subject } from './engines.ts';
import { skusOnOneShard } from './traffic.ts';

const WAIT_MS = 3_000;

/** An engine under test, and two SKUs on one of its shards that no other test uses. */
export class EngineBench {
  readonly subject: Subject;
  readonly shard: number;
  readonly sku: string;
  readonly other: string;

  constructor(subject: Subject) {
    const { shard, sku_ids } = skusOnOneShard(fresh('conformance'), 2);
    [this.sku, this.other] = sku_ids as [string, string];
    this.shard = shard;
    this.subject = subject;
  }

  deadline(): number {
    return performance.now() + WAIT_MS;
  }

  line(order_detail_id: string, quantity: number, sku_id = this.sku): Line {
    return { sku_id, order_detail_id, quantity };
  }

  key(order_detail_id: string, sku_id = this.sku): FlowKey {
    return { sku_id, order_detail_id };
  }

  async apply<O extends Operation>(operation: O): Promise<OutcomeOf<O>> {
    const [outcome] = await this.subject.engine.apply(this.shard, [operation], this.deadline());
    if (outcome === undefined) throw new Error('an operation got no outcome');
    return outcome.is === 'pending' ? { ...outcome, holds: plainHolds(outcome) } : outcome;
  }

  open(leaved_amount: number, sku_id = this.sku) {
    return this.apply({ kind: 'open', sku_id, leaved_amount });
  }

  adjust(adjustment_id: string, delta: number) {
    return this.apply({ kind: 'adjust', sku_id: this.sku, adjustment_id, delta, reason: null });
  }

  sale(state: 'on' | 'paused', from: string | null = null, sku_id = this.sku) {
    return this.apply({ kind: 'sale', sku_id, state, from });
  }

  deduct(order_id: string, ...lines: Line[]) {
    return this.apply({ kind: 'deduct', order_id, lines });
  }

  hold(cart: CartKey, ...lines: Line[]) {
    return this.apply({ kind: 'hold', ...cart, lines });
  }

  complete(cart: CartKey, decision: CommitDecision, ...lines: Line[]) {
    return this.apply({ kind: 'settle', ...cart, decision, lines });
  }

  giveBack(return_id: string, { sku_id, order_detail_id, quantity }: Line) {
    return this.apply({ kind: 'return', return_id, sku_id, order_detail_id, quantity });
  }

  cancel(order_id: string, ...lines: FlowKey[]) {
    return this.apply({ kind: 'cancel', order_id, lines });
  }

  /** The units left; null for an unknown SKU. */
  async left(sku_id = this.sku): Promise<number | null> {
    const stock = await this.subject.reader.readStock(this.shard, sku_id, this.deadline());
    if (stock.is !== 'found') throw new Error(stock.is);
    return stock.rows[0]?.leaved_amount ?? null;
  }

  async flow(order_detail_id: string, sku_id = this.sku): Promise<Flow | null> {
    const found = await this.subject.reader.findFlows(this.shard, [{ sku_id, order_detail_id }], this.deadline());
    if (found.is !== 'found') throw new Error(found.is);
    return found.flows[0] ?? null;
  }
}

export const APPLIED = { is: 'applied', replayed: false } as const;
export const APPLIED_BEFORE = { is: 'applied', replayed: true } as const;

/** The refusal of an operation that has no lines. */
export function refusal(code: RefusalCode, more: Pick<Refused, 'leaved_amount'> = {}): Refused {
  return { is: 'refused', code, lines: [], ...more };
}

/** The refusal of one line. */
export function refusalOf(line: Line, code: RefusalCode, more: Pick<RefusedLine, 'leaved_amount'> = {}): Refused {
  return { is: 'refused', code, lines: [{ ...line, code, ...more }] };
}

/** The holds in a fixed order, without the details that an engine adds to them. */
export function plainHolds({ holds }: BlockedByHolds): Hold[] {
  const text = ({ sku_id, order_detail_id, order_id, attempt }: Hold): string =>
    `${sku_id}\0${order_detail_id}\0${order_id}\0${attempt}`;
  return holds
    .map(({ sku_id, order_detail_id, order_id, attempt }): Hold => ({ sku_id, order_detail_id, order_id, attempt }))
    .sort((a, b) => (text(a) < text(b) ? -1 : 1));
}

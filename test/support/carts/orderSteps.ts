import { expect } from 'chai';
import type { CartKey, CommitDecision, Line, OrderTransaction } from '../../../src/core/types.ts';
import type { Deduct } from '../../../src/core/operation.ts';
import type { EngineName } from '../engines/engines.ts';
import { sideSession } from '../rows/sideSession.ts';
import { WAIT_MS } from './cartBench.ts';
import type { CartBench } from './cartBench.ts';

/** A transaction of this age without a record is aborted by the first gateway that finds one of its holds. */
const OLD_MS = 10_000;
/** For an attempt that others may not abort yet. */
export const YOUNG = { ageMs: 0 } as const;

/**
 * An attempt to sell an order, whose steps a test takes one by one. The steps are those of a coordinator and of other
 * gateways, at whatever time and any number of times.
 */
export interface StartedOrder {
  readonly cart: CartKey;
  /** Holds lines. @param lines absent: all that must be held */
  hold(lines?: readonly Line[]): Promise<string[]>;
  /** Decides. @returns the decision that counts, perhaps an earlier one */
  decide(decision: CommitDecision): Promise<CommitDecision>;
  /** Completes the holds. @param lines absent: all that must be held */
  complete(decision: CommitDecision, lines?: readonly Line[]): Promise<string[]>;
  /** Reads the decision as another gateway does that finds a hold. It aborts an old attempt without a decision. */
  resolve(): Promise<CommitDecision | 'open'>;
}

export interface StartOptions {
  /** The age of a transaction, below 0 for one that began ahead of the clock. A cart record is young; `age` ages it. */
  readonly ageMs?: number;
  /** False: a cart with attempts has no record. A transaction never has one at first. */
  readonly hasRecord?: boolean;
}

/** A protocol that holds units before the order is decided, by its steps. */
export interface OrderSteps {
  readonly name: string;
  /** An engine that can decide it. */
  readonly engine: EngineName;
  /**
   * @param held the lines that are held
   * @param own the lines of the coordinator, all on one shard. A transaction takes them with its decision; a cart with
   *   attempts holds them like the others.
   */
  start(
    bench: CartBench,
    order_id: string,
    held: readonly Line[],
    own?: readonly Line[],
    options?: StartOptions,
  ): Promise<StartedOrder>;
}

const deadline = (): number => performance.now() + WAIT_MS;

const holdOn = async (bench: CartBench, cart: CartKey, lines: readonly Line[]): Promise<string[]> =>
  Promise.all(lines.map(async (line) => (await bench.apply({ kind: 'hold', ...cart, lines: [line] })).is));
const completeOn = async (
  bench: CartBench,
  cart: CartKey,
  decision: CommitDecision,
  lines: readonly Line[],
): Promise<string[]> =>
  Promise.all(lines.map(async (line) => (await bench.apply({ kind: 'settle', ...cart, decision, lines: [line] })).is));

/** The steps of a cart with attempts. */
export const ATTEMPT_STEPS: OrderSteps = {
  name: 'a cart with attempts',
  engine: 'textbook',
  async start(bench, order_id, others, own = [], { hasRecord = true } = {}) {
    const cart = { order_id, attempt: 1 };
    const lines = [...others, ...own];
    const shard = bench.shardOf(order_id);
    if (hasRecord)
      expect(await bench.carts.begin(shard, { order_id, lines }, false, deadline())).to.include({ is: 'begun' });
    return {
      cart,
      hold: (held = lines) => holdOn(bench, cart, held),
      async decide(decision) {
        const found = await bench.carts.decide(shard, cart, decision, deadline());
        if (found.is !== 'judged' || found.state === 'open') throw new Error(JSON.stringify(found));
        return found.state;
      },
      complete: (decision, held = lines) => completeOn(bench, cart, decision, held),
      async resolve() {
        const found = await bench.carts.resolve(shard, cart, deadline());
        if (found.is !== 'judged') throw new Error(JSON.stringify(found));
        return found.state;
      },
    };
  },
};

/** The steps of a transaction. Without own lines, its coordinator is the shard of the order, and never commits. */
export const TRANSACTION_STEPS: OrderSteps = {
  name: 'a transaction',
  engine: 'batching',
  async start(bench, order_id, lines, own = [], { ageMs = OLD_MS } = {}) {
    const coordinator = bench.shardOf(own[0]?.sku_id ?? order_id);
    const begun = bench.parts.records.begin(coordinator);
    const transaction = older(begun, ageMs);
    const cart = { order_id, attempt: 0, transaction };
    const recorded = [...lines, ...own].map((line) => ({ ...line, shard: bench.shardOf(line.sku_id) }));
    const operation: Deduct = { kind: 'deduct', order_id, lines: own, transaction, record: recorded, isDecision: true };
    const resolve = async (): Promise<CommitDecision | 'open'> => {
      const found = await bench.parts.records.resolve(transaction, order_id, deadline());
      if (found.is !== 'judged') throw new Error(JSON.stringify(found));
      return found.state;
    };
    return {
      cart,
      hold: (held = lines) => holdOn(bench, cart, held),
      async decide(decision) {
        if (decision === 'committed') {
          const { is } = await bench.parts.engine.applyJointly([{ shard: coordinator, operation }], deadline());
          if (is === 'deducted') return 'committed';
        } else if (ageMs < OLD_MS) {
          await insertAborted(transaction, order_id);
        }
        const state = await resolve();
        if (state === 'open') throw new Error('the transaction is not decided');
        return state;
      },
      complete: (decision, held = lines) => completeOn(bench, cart, decision, held),
      resolve,
    };
  },
};

/** Records a young transaction as aborted, as a gateway does when the transaction is old. */
async function insertAborted({ transaction_id, coordinator }: OrderTransaction, order_id: string): Promise<void> {
  const session = await sideSession(coordinator);
  try {
    await session.query(
      "INSERT IGNORE INTO order_record (transaction_id, state, order_id, order_lines) VALUES (?, 'aborted', ?, '[]')",
      [Buffer.from(transaction_id, 'hex'), Buffer.from(order_id)],
    );
  } finally {
    session.destroy();
  }
}

/** The protocols that hold units before the order is decided. */
export const ALL_STEPS: readonly OrderSteps[] = [TRANSACTION_STEPS, ATTEMPT_STEPS];

/** The same transaction, begun this much earlier. */
export function older({ transaction_id, coordinator }: OrderTransaction, ms: number): OrderTransaction {
  const began = Number.parseInt(transaction_id.slice(0, 12), 16) - ms;
  return { transaction_id: began.toString(16).padStart(12, '0') + transaction_id.slice(12), coordinator };
}

import { flowKeyText } from '../../core/types.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { namesSubRow, skusOf } from '../../core/operation.ts';
import type { JointOperation, Operation, Receive, Send, ShardOperation } from '../../core/operation.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { StockEngine } from '../../core/ports/stockEngine.ts';
import { Unavailable } from '../connection/failures.ts';
import { adjust } from './adjust.ts';
import { cancel } from './cancel.ts';
import { deduct } from './deduct.ts';
import { returnUnits } from './returnUnits.ts';
import { hold } from './hold.ts';
import { open } from './open.ts';
import { setSaleState } from './sale.ts';
import { unlessSplit } from './unlessSplit.ts';
import { completeLines } from './completeLines.ts';
import { commitChange } from '../connection/commitChange.ts';
import type { Change } from '../connection/commitChange.ts';
import type { Shard } from '../shard.ts';
import { PointerFound } from '../sql/flows/lockFlows.ts';
import { WORK_MS } from '../connection/transaction.ts';

/** The operations that this engine carries out. */
type Plain = Exclude<Operation, Send | Receive>;

/**
 * The article's scheme, done with care: one local transaction per request, in plain round trips: the slot, the flow,
 * the stock, COMMIT. Every other engine was made from it, and every benchmark is compared with it. It handles SKUs with
 * one row. Operations on a SKU that is or was split, and completions of transactions, go to another engine.
 */
export class TextbookEngine implements StockEngine {
  readonly #shards: readonly Shard[];
  readonly #forSplit: StockEngine | null;

  /** @param forSplit receives operations on split SKUs; null: there are none */
  constructor(shards: readonly Shard[], forSplit: StockEngine | null = null) {
    this.#shards = shards;
    this.#forSplit = forSplit;
  }

  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]> {
    const target = this.#shards[shard];
    if (target === undefined) throw new RangeError(`there is no shard ${shard}`);
    return Promise.all(
      operations.map(async (operation) => {
        const plain = isPlain(operation) ? await carryOut(target, operation, deadlineMs) : null;
        if (plain !== null && plain.is !== 'moved') return plain as OutcomeOf<O>;
        const [outcome] = (await this.#forSplit?.apply(shard, [operation], deadlineMs)) ?? [plain as OutcomeOf<O>];
        return outcome as OutcomeOf<O>;
      }),
    );
  }

  /** Each shard commits alone, so an order over several shards is a cart with attempts. */
  groupOf(_shard: ShardIndex): null {
    return null;
  }

  applyJointly<O extends JointOperation>(
    _parts: readonly ShardOperation<O>[],
    _deadlineMs: DeadlineMs,
  ): Promise<OutcomeOf<O>> {
    return Promise.reject(new Error('the shards of this engine commit alone'));
  }
}

function isPlain(operation: Operation): operation is Plain {
  const hasTransaction = 'transaction' in operation && operation.transaction !== undefined;
  return operation.kind !== 'send' && operation.kind !== 'receive' && !hasTransaction && !namesSubRow(operation);
}

/** Enters the gates of the operation, ids before SKUs, and carries it out. */
async function carryOut(shard: Shard, operation: Plain, deadlineMs: DeadlineMs): Promise<OutcomeOf<Operation>> {
  let leaveFlows: (() => void) | null = null;
  let leaveSkus: (() => void) | null = null;
  try {
    const untilMs = deadlineMs - WORK_MS;
    leaveFlows = await shard.flowGate.enter(inOrder(idsOf(operation)), untilMs);
    leaveSkus = await shard.skuGate.enter(inOrder(skusOf(operation)), untilMs);
    return await commitChange(shard, deadlineMs, changeOf(operation));
  } catch (error) {
    if (error instanceof Unavailable) return { is: 'not_done', reason: error.message };
    if (error instanceof PointerFound) return { is: 'moved', sku_ids: skusOf(operation) };
    throw error;
  } finally {
    leaveSkus?.();
    leaveFlows?.();
  }
}

/** The ids that an operation writes once, as one text each. */
function idsOf(operation: Plain): string[] {
  switch (operation.kind) {
    case 'deduct':
    case 'hold':
    case 'settle':
    case 'cancel':
      return operation.lines.map(flowKeyText);
    case 'return':
      return [flowKeyText(operation)];
    case 'adjust':
      return [`${operation.sku_id}\0adjustment\0${operation.adjustment_id}`];
    case 'open':
    case 'sale':
      return [operation.sku_id];
  }
}

function inOrder(keys: readonly string[]): string[] {
  return [...new Set(keys)].sort();
}

function changeOf(operation: Plain): Change<OutcomeOf<Operation>> {
  switch (operation.kind) {
    case 'deduct':
      return deduct(operation);
    case 'hold':
      return hold(operation);
    case 'settle':
      return unlessSplit(operation, completeLines(operation));
    case 'return':
      return unlessSplit(operation, returnUnits(operation));
    case 'cancel':
      return unlessSplit(operation, cancel(operation));
    case 'adjust':
      return unlessSplit(operation, adjust(operation));
    case 'open':
      return open(operation);
    case 'sale':
      return setSaleState(operation);
  }
}

import { flowKeyText } from '../core/nouns.ts';
import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import { skusOf } from '../core/operation.ts';
import type { Operation } from '../core/operation.ts';
import type { OutcomeOf } from '../core/outcome.ts';
import type { StockEngine } from '../core/ports.ts';
import { Unavailable } from './failures.ts';
import { adjust } from './operations/adjust.ts';
import { cancel } from './operations/cancel.ts';
import { deduct } from './operations/deduct.ts';
import { giveBack } from './operations/giveBack.ts';
import { hold } from './operations/hold.ts';
import { open } from './operations/open.ts';
import { sale } from './operations/sale.ts';
import { settleLines } from './operations/settleLines.ts';
import { settle } from './settle.ts';
import type { Change } from './settle.ts';
import type { Shard } from './shard.ts';
import { WORK_MS } from './transaction.ts';

/**
 * The article's scheme, done with care: one local transaction per request, in plain round trips - the slot, the flow,
 * the stock, COMMIT. The seed of every other engine and the baseline of every benchmark.
 */
export class TextbookEngine implements StockEngine {
  readonly #shards: readonly Shard[];

  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
  }

  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]> {
    const target = this.#shards[shard];
    if (target === undefined) throw new RangeError(`there is no shard ${shard}`);
    return Promise.all(
      operations.map((operation) => carryOut(target, operation, deadlineMs) as Promise<OutcomeOf<O>>),
    );
  }
}

/** Takes the operation's places at the gates, ids before SKUs, and settles it. */
async function carryOut(shard: Shard, operation: Operation, deadlineMs: DeadlineMs): Promise<OutcomeOf<Operation>> {
  let leaveFlows: (() => void) | null = null;
  let leaveSkus: (() => void) | null = null;
  try {
    const untilMs = deadlineMs - WORK_MS;
    leaveFlows = await shard.flowGate.enter(inOrder(idsOf(operation)), untilMs);
    leaveSkus = await shard.skuGate.enter(inOrder(skusOf(operation)), untilMs);
    return await settle(shard, deadlineMs, changeOf(operation));
  } catch (error) {
    if (error instanceof Unavailable) return { is: 'not_done', reason: error.message };
    throw error;
  } finally {
    leaveSkus?.();
    leaveFlows?.();
  }
}

/** What the operation writes once and for all, as one text each. */
function idsOf(operation: Operation): string[] {
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

function changeOf(operation: Operation): Change<OutcomeOf<Operation>> {
  switch (operation.kind) {
    case 'deduct':
      return deduct(operation);
    case 'hold':
      return hold(operation);
    case 'settle':
      return settleLines(operation);
    case 'return':
      return giveBack(operation);
    case 'cancel':
      return cancel(operation);
    case 'adjust':
      return adjust(operation);
    case 'open':
      return open(operation);
    case 'sale':
      return sale(operation);
  }
}

import type { BatchOperation } from '../../core/ledger/decide.ts';
import { flowKeyText } from '../../core/types.ts';
import type { DeadlineMs, FlowKey, ShardIndex } from '../../core/types.ts';
import type { JointOperation, Operation, ShardOperation } from '../../core/operation.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { StockEngine } from '../../core/ports/stockEngine.ts';
import type { Shard } from '../shard.ts';
import { TextbookEngine } from '../textbook/textbookEngine.ts';
import { ServerWriter } from './serverWriter.ts';

/** Groups sort as their first shards do. */
const GROUP_DIGITS = 5;

interface KnownShard {
  readonly shard: Shard;
  /** The first shard of its server, so that all gateways list servers in the same order. */
  readonly group: string;
  readonly writer: ServerWriter;
}

/**
 * Sends operations that arrive at the same time in one transaction per server and one round trip. Rare operations (to
 * open a SKU, to pause its sale) have transactions of their own.
 */
export class BatchingEngine implements StockEngine {
  readonly #shards: readonly KnownShard[];
  readonly #single: TextbookEngine;

  /** @param linesMax the most lines in one batch */
  constructor(shards: readonly Shard[], linesMax?: number) {
    const servers = new Map<string, Pick<KnownShard, 'group' | 'writer'>>();
    this.#shards = shards.map((shard, index) => {
      const group = String(index).padStart(GROUP_DIGITS, '0');
      const known = servers.get(shard.server) ?? { group, writer: new ServerWriter(linesMax) };
      servers.set(shard.server, known);
      return { shard, ...known };
    });
    this.#single = new TextbookEngine(shards);
  }

  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]> {
    const [first] = operations;
    // Nearly always there is one operation, and then one promise fewer matters.
    const outcomes =
      operations.length === 1 && first !== undefined
        ? this.#applyOne(shard, first, deadlineMs).then(listOf)
        : Promise.all(operations.map((operation) => this.#applyOne(shard, operation, deadlineMs)));
    return outcomes as Promise<OutcomeOf<O>[]>;
  }

  /** The shards of one server commit together. */
  groupOf(shard: ShardIndex): string {
    return this.#known(shard).group;
  }

  applyJointly<O extends JointOperation>(
    parts: readonly ShardOperation<O>[],
    deadlineMs: DeadlineMs,
  ): Promise<OutcomeOf<O>> {
    const known = parts.map(({ shard, operation }) => ({ ...this.#known(shard), operation }));
    const [first] = known;
    if (first === undefined || known.some(({ writer }) => writer !== first.writer))
      return Promise.reject(new Error('the parts of an operation must lie on shards of one server'));
    return first.writer.apply(known, deadlineMs).then((outcome) => withShards(parts, outcome) as OutcomeOf<O>);
  }

  #known(shard: ShardIndex): KnownShard {
    const known = this.#shards[shard];
    if (known === undefined) throw new RangeError(`there is no shard ${shard}`);
    return known;
  }

  #applyOne(shard: ShardIndex, operation: Operation, deadlineMs: DeadlineMs): Promise<OutcomeOf<Operation>> {
    if (!isBatchable(operation)) return this.#single.apply(shard, [operation], deadlineMs).then(firstOf);
    const known = this.#shards[shard];
    return known === undefined
      ? Promise.reject(new RangeError(`there is no shard ${shard}`))
      : known.writer.apply([{ shard: known.shard, operation }], deadlineMs);
  }
}

/** Names the shard of each blocking hold: the caller cannot know which part found it. */
function withShards(
  parts: readonly ShardOperation<JointOperation>[],
  outcome: OutcomeOf<BatchOperation>,
): OutcomeOf<BatchOperation> {
  if (outcome.is !== 'pending') return outcome;
  const shards = new Map(
    parts.flatMap(({ shard, operation }) => operation.lines.map((line) => [flowKeyText(line), shard] as const)),
  );
  const shardOf = (hold: FlowKey): { readonly shard?: ShardIndex } => {
    const shard = shards.get(flowKeyText(hold));
    return shard === undefined ? {} : { shard };
  };
  return { ...outcome, holds: outcome.holds.map((hold) => ({ ...shardOf(hold), ...hold })) };
}

function listOf<T>(one: T): T[] {
  return [one];
}

function firstOf<T>([first]: readonly T[]): T {
  if (first === undefined) throw new Error('an engine gives one outcome per operation');
  return first;
}

function isBatchable(operation: Operation): operation is BatchOperation {
  return operation.kind !== 'open' && operation.kind !== 'sale';
}

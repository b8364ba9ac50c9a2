import type { Config } from '../../../src/config/config.ts';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import type { StockReader } from '../../../src/core/ports/stockReader.ts';
import { SlotMap } from '../../../src/core/slots.ts';
import { BatchingEngine } from '../../../src/mysql/batching/batchingEngine.ts';
import { Shard } from '../../../src/mysql/shard.ts';
import type { ShardOptions } from '../../../src/mysql/shard.ts';
import { ShardReader } from '../../../src/mysql/shardReader.ts';
import { TextbookEngine } from '../../../src/mysql/textbook/textbookEngine.ts';
import type { Stack } from '../../../scripts/support/stack.ts';
import { Oracle } from './oracle.ts';

/** An engine and the reader of its writes. */
export interface Subject {
  readonly engine: StockEngine;
  readonly reader: StockReader;
  close(): void;
}

/** Opens the pools of a stack's shards. */
export function openShards(
  stack: Pick<Stack, 'shards' | 'initialShards'>,
  statementMs = 1_000,
  more: Pick<ShardOptions, 'readOnlyAllowed'> = {},
): Shard[] {
  return stack.shards.map(
    (shard, index) =>
      new Shard({
        ...shard,
        shard: index,
        initialShards: stack.initialShards,
        statementMs,
        relaxedAllowed: false,
        onChange: () => undefined,
        ...more,
      }),
  );
}

/** True when no connection of the shard is in use and no caller waits for one. */
export function isQuiet(shard: Shard | undefined): boolean {
  const { busy, waiting } = shard?.pool.state() ?? { busy: Number.NaN, waiting: Number.NaN };
  return busy === 0 && waiting === 0;
}

/** The engines that a gateway can be configured with. */
export type EngineName = Config['engine'];

/** Creates each of these engines on real shards. */
export const ENGINE_OF: Readonly<Record<EngineName, (shards: readonly Shard[]) => StockEngine>> = {
  batching: (shards) => new BatchingEngine(shards),
  textbook: (shards) => new TextbookEngine(shards, new BatchingEngine(shards)),
};

export const ENGINE_NAMES: readonly EngineName[] = ['batching', 'textbook'];

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';

/** The engines that slow suites run over; the long form adds the textbook engine. */
export const ENGINES_NOW: readonly EngineName[] = LONG ? ENGINE_NAMES : ['batching'];

/** Every implementation of the engine port, by name; a new engine joins the conformance suite here. */
export const ENGINES: readonly { readonly name: string; create(stack: Stack): Subject }[] = [
  {
    name: 'oracle',
    create: ({ initialShards }) => {
      const oracle = new Oracle(new SlotMap(initialShards));
      return { engine: oracle, reader: oracle, close: () => undefined };
    },
  },
  ...ENGINE_NAMES.map((name) => ({
    name,
    create: (stack: Stack): Subject => {
      const shards = openShards(stack);
      return {
        engine: ENGINE_OF[name](shards),
        reader: new ShardReader(shards),
        close: () => {
          for (const { pool } of shards) pool.close();
        },
      };
    },
  })),
];

import type { Logger } from 'pino';
import type { BackendPorts } from './backendPorts.ts';
import type { Config } from '../config/config.ts';
import { KnownWatermarks } from '../core/restore/watermarks.ts';
import type { JournalReader } from '../core/ports/journalReader.ts';
import type { ShardOverview, ShardState } from '../core/ports/shardOverview.ts';
import type { StockEngine } from '../core/ports/stockEngine.ts';
import type { ReportUnreadable } from '../core/unreadableRow.ts';
import { BatchingEngine } from '../mysql/batching/batchingEngine.ts';
import { OrderRecordStore } from '../mysql/carts/orderRecordStore.ts';
import { CartStore } from '../mysql/carts/cartStore.ts';
import { HotRowStore } from '../mysql/hot/hotRowStore.ts';
import { LayoutStore } from '../mysql/hot/layoutStore.ts';
import { Shard } from '../mysql/shard.ts';
import { ShardReader } from '../mysql/shardReader.ts';
import { TextbookEngine } from '../mysql/textbook/textbookEngine.ts';

const ENGINES: Readonly<Record<Config['engine'], (shards: readonly Shard[], config: Config) => StockEngine>> = {
  batching: (shards, { batchLinesMax }) => new BatchingEngine(shards, batchLinesMax),
  textbook: (shards, { batchLinesMax }) => new TextbookEngine(shards, new BatchingEngine(shards, batchLinesMax)),
};

/** MySQL behind the ports. */
export interface MysqlBackend {
  readonly ports: BackendPorts;
  /** Reads the state of the shards and the journal. No port stands before it, so tests cannot decorate it. */
  readonly overview: ShardOverview & JournalReader;
  /** For the pre-check, which reads shards in its own way. */
  readonly shards: readonly Shard[];
  /**
   * Resolves when every shard has been tried once. A shard that does not answer is tried again by its pool, without a
   * wait here.
   */
  tryShards(): Promise<void>;
  close(): void;
}

export interface MysqlBackendOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly onUnreadable: ReportUnreadable;
  readonly onFault: (error: unknown) => void;
}

/**
 * Makes the MySQL back end, which begins to connect to its shards at once.
 *
 * Another way to apply operations on MySQL is one more entry of `ENGINES` and of `STOCKGATE_ENGINE`. Another database
 * is one more file beside this one, with a function that returns the same ports; `startGateway` then chooses between
 * the two by the configuration. Only two other files of the composition use MySQL: `tiers.ts` for the pre-check, and
 * `useCases.ts` for reconciliation.
 */
export function createMysqlBackend({ config, log, onUnreadable, onFault }: MysqlBackendOptions): MysqlBackend {
  const watermarks = new KnownWatermarks(config.shards.length);
  const shards = config.shards.map(
    (shard, index) =>
      new Shard({
        ...shard,
        shard: index,
        initialShards: config.initialShards,
        statementMs: config.statementMs,
        relaxedAllowed: config.relaxedAllowed,
        isPrechecked: config.tiers.length > 0,
        watermarks: watermarks,
        onFault,
        onWatermarkFailure: (reason) =>
          log.warn({ shard: shard.name, reason }, 'watermark not raised: a restore of the shard may not be detected'),
        onChange: (state) => logState(log, state),
      }),
  );
  const reader = new ShardReader(shards, onUnreadable);
  return {
    ports: {
      engine: ENGINES[config.engine](shards, config),
      reader,
      slots: reader,
      carts: new CartStore(shards, onUnreadable),
      records: new OrderRecordStore(shards, onUnreadable),
      layouts: new LayoutStore(shards, onUnreadable),
      hotRows: new HotRowStore(shards, onUnreadable),
    },
    overview: reader,
    shards,
    async tryShards() {
      await Promise.all(shards.map((shard) => shard.tried));
      await Promise.all(shards.map((shard) => shard.inspectAgain()));
    },
    close() {
      for (const shard of shards) shard.pool.close();
    },
  };
}

function logState(log: Logger, { name, state, reason }: ShardState): void {
  if (state === 'serving') log.info({ shard: name }, 'shard serving');
  else log.warn({ shard: name, state, reason }, 'shard not served');
}

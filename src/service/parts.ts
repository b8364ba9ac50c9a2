import type { HotKeyTracker } from '../core/heat.ts';
import type { CartRecords, ShardOverview, StockEngine, StockReader } from '../core/ports.ts';
import type { BackgroundTasks } from './afterwork.ts';
import type { HoldCompletion } from './freeHolds.ts';
import type { HotServices } from './hot/hot.ts';
import type { AdmissionQueue } from './places.ts';
import type { Routing } from './routing.ts';
import type { SingleFlight } from './sharing.ts';

/** The dependencies of the use cases. */
export interface ServicePorts {
  readonly routing: Routing;
  readonly engine: StockEngine;
  readonly reader: StockReader;
  readonly carts: CartRecords;
  readonly shards: ShardOverview;
  readonly backgroundTasks: BackgroundTasks;
  /** The admission queue of carts: each cart may send a request to every shard at once. */
  readonly cartQueue: AdmissionQueue;
  /** Completes a hold once for all operations that find it at the same time. */
  readonly holdCompletion: SingleFlight<HoldCompletion>;
  readonly hotKeys: HotKeyTracker;
  readonly hot: HotServices;
}

import type { HotKeyTracker } from '../core/hot/hotKeyTracker.ts';
import type { CartRecords } from '../core/ports/cartRecords.ts';
import type { OrderRecords } from '../core/ports/orderRecords.ts';
import type { ShardOverview } from '../core/ports/shardOverview.ts';
import type { StockEngine } from '../core/ports/stockEngine.ts';
import type { StockReader } from '../core/ports/stockReader.ts';
import type { BackgroundTasks } from './tasks/backgroundTasks.ts';
import type { HoldCompletion } from './carts/holdCompletion.ts';
import type { HotServices } from './hot/hotServices.ts';
import type { AdmissionQueue } from './admission/admissionQueue.ts';
import type { Routing } from './routing/routing.ts';
import type { SingleFlight } from './tasks/singleFlight.ts';

/** The dependencies of the use cases. */
export interface ServicePorts {
  readonly routing: Routing;
  readonly engine: StockEngine;
  readonly reader: StockReader;
  readonly carts: CartRecords;
  readonly records: OrderRecords;
  readonly shards: ShardOverview;
  readonly backgroundTasks: BackgroundTasks;
  /** The admission queue of carts: each cart may send a request to every shard at once. */
  readonly cartQueue: AdmissionQueue;
  /** Completes a hold once for all operations that find it at the same time. */
  readonly holdCompletion: SingleFlight<HoldCompletion>;
  readonly hotKeys: HotKeyTracker;
  readonly hot: HotServices;
}

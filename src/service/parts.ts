import type { HotKeyTracker } from '../core/heat.ts';
import type { CartRecords, ShardOverview, StockEngine, StockReader } from '../core/ports.ts';
import type { Afterwork } from './afterwork.ts';
import type { Freed } from './freeHolds.ts';
import type { Hot } from './hot/hot.ts';
import type { Places } from './places.ts';
import type { Routing } from './routing.ts';
import type { Sharing } from './sharing.ts';

/** The dependencies of the use cases. */
export interface Parts {
  readonly routing: Routing;
  readonly engine: StockEngine;
  readonly reader: StockReader;
  readonly carts: CartRecords;
  readonly shards: ShardOverview;
  readonly afterwork: Afterwork;
  /** The admission queue of carts: each cart may send a request to every shard at once. */
  readonly cartPlaces: Places;
  /** Completes a hold once for all operations that find it at the same time. */
  readonly freeing: Sharing<Freed>;
  readonly heat: HotKeyTracker;
  readonly hot: Hot;
}

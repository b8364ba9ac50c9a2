import type { Heat } from '../core/heat.ts';
import type { CartRecords, ShardOverview, StockEngine, StockReader } from '../core/ports.ts';
import type { Afterwork } from './afterwork.ts';
import type { Freed } from './freeHolds.ts';
import type { Hot } from './hot/hot.ts';
import type { Places } from './places.ts';
import type { Routing } from './routing.ts';
import type { Sharing } from './sharing.ts';

/** What the use cases work with. */
export interface Parts {
  readonly routing: Routing;
  readonly engine: StockEngine;
  readonly reader: StockReader;
  readonly carts: CartRecords;
  readonly shards: ShardOverview;
  readonly afterwork: Afterwork;
  /** For carts under way: each may ask every shard at once. */
  readonly cartPlaces: Places;
  /** For holds that many meet at once. */
  readonly freeing: Sharing<Freed>;
  readonly heat: Heat;
  readonly hot: Hot;
}

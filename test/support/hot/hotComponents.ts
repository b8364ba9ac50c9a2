import { randomBytes } from 'node:crypto';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import { HotRowStore } from '../../../src/mysql/hot/hotRowStore.ts';
import { LayoutStore } from '../../../src/mysql/hot/layoutStore.ts';
import type { Shard } from '../../../src/mysql/shard.ts';
import { createHotServices } from '../../../src/service/hot/hotServices.ts';
import type { HotServices } from '../../../src/service/hot/hotServices.ts';
import type { Routing } from '../../../src/service/routing/routing.ts';

/** The components that maintain split SKUs, as in a gateway. */
export function hotComponents(shards: readonly Shard[], routing: Routing, engine: StockEngine): HotServices {
  return createHotServices({
    ...{
      routing,
      engine,
      store: new LayoutStore(shards),
      rows: new HotRowStore(shards),
      servers: shards.map(({ server }) => server),
    },
    newId: () => randomBytes(16).toString('hex'),
    onFault: (error) => {
      throw error;
    },
  });
}

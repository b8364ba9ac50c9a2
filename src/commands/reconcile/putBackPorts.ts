import { randomBytes } from 'node:crypto';
import { BatchingEngine } from '../../mysql/batching/batchingEngine.ts';
import { CartStore } from '../../mysql/carts/cartStore.ts';
import { OrderRecordStore } from '../../mysql/carts/orderRecordStore.ts';
import { HotRowStore } from '../../mysql/hot/hotRowStore.ts';
import { LayoutStore } from '../../mysql/hot/layoutStore.ts';
import { RestoredShardStore } from '../../mysql/restore/restoredShards.ts';
import type { Shard } from '../../mysql/shard.ts';
import { BackgroundTasks } from '../../service/tasks/backgroundTasks.ts';
import { shareHoldCompletion } from '../../service/carts/holdCompletion.ts';
import { createHotServices } from '../../service/hot/hotServices.ts';
import type { PutBackPorts } from '../../service/restore/putBack.ts';
import type { Routing } from '../../service/routing/routing.ts';

/** The ports that put records back: those of a gateway, on shards that are closed for gateways. */
export function putBackPorts(shards: readonly Shard[], routing: Routing): PutBackPorts {
  const engine = new BatchingEngine(shards);
  const onFault = (error: unknown): void => console.error(error);
  const hot = createHotServices({
    ...{
      routing,
      engine,
      onFault,
      store: new LayoutStore(shards),
      rows: new HotRowStore(shards),
      servers: shards.map(({ server }) => server),
    },
    newId: () => randomBytes(16).toString('hex'),
  });
  return {
    routing,
    engine,
    hot,
    carts: new CartStore(shards),
    records: new OrderRecordStore(shards),
    holdCompletion: shareHoldCompletion(),
    backgroundTasks: new BackgroundTasks(onFault),
    shards: new RestoredShardStore(shards),
  };
}

import { HotKeyTracker } from '../../../src/core/hot/hotKeyTracker.ts';
import { SlotMap } from '../../../src/core/slots.ts';
import type { Operation } from '../../../src/core/operation.ts';
import type { OutcomeOf } from '../../../src/core/outcome.ts';
import type { CartRecords } from '../../../src/core/ports/cartRecords.ts';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import { CartStore } from '../../../src/mysql/carts/cartStore.ts';
import { OrderRecordStore } from '../../../src/mysql/carts/orderRecordStore.ts';
import type { Shard } from '../../../src/mysql/shard.ts';
import { ShardReader } from '../../../src/mysql/shardReader.ts';
import { BackgroundTasks } from '../../../src/service/tasks/backgroundTasks.ts';
import { shareHoldCompletion } from '../../../src/service/carts/holdCompletion.ts';
import type { ServicePorts } from '../../../src/service/servicePorts.ts';
import { AdmissionQueue } from '../../../src/service/admission/admissionQueue.ts';
import { Routing } from '../../../src/service/routing/routing.ts';
import { Sweeper } from '../../../src/service/carts/sweeper.ts';
import { ENGINE_OF, openShards } from '../engines/engines.ts';
import type { EngineName } from '../engines/engines.ts';
import { hotComponents } from '../hot/hotComponents.ts';
import { stack } from '../run/setup.ts';

export const WAIT_MS = 10_000;
const SHARDS = 16;

/** The components of a gateway without its listeners, so that a test can run the steps of a cart one by one. */
export interface CartBench {
  readonly parts: ServicePorts;
  readonly carts: CartRecords;
  shardOf(id: string): number;
  apply<O extends Operation>(operation: O): Promise<OutcomeOf<O>>;
  open(sku_id: string, leaved_amount: number): Promise<void>;
  /** Resolves when the schemas of all shards were read. Before, orders over several servers use the older protocol. */
  ready(): Promise<void>;
  /** @param around decorates the ports of this sweeper; `faults` collects damaged rows and unexpected errors */
  sweeper(options?: {
    readonly rowsMax?: number;
    readonly around?: (parts: ServicePorts) => ServicePorts;
    readonly faults?: unknown[];
  }): Sweeper;
  close(): void;
}

/** @param shards absent: the shared shards; they are closed with the bench */
export function openCartBench(
  shards: readonly Shard[] = openShards(stack()),
  engineName: EngineName = 'textbook',
): CartBench {
  const map = new SlotMap(SHARDS);
  const reader = new ShardReader(shards);
  const engine: StockEngine = ENGINE_OF[engineName](shards);
  const carts = new CartStore(shards);
  const backgroundTasks = new BackgroundTasks((error) => {
    throw error;
  });
  const routing = new Routing(map, reader, SHARDS);
  const parts: ServicePorts = {
    routing,
    engine,
    reader,
    carts,
    records: new OrderRecordStore(shards),
    shards: reader,
    backgroundTasks,
    cartQueue: new AdmissionQueue(16, 1_000),
    holdCompletion: shareHoldCompletion(),
    hotKeys: new HotKeyTracker(),
    hot: hotComponents(shards, routing, engine),
  };
  const apply: CartBench['apply'] = async (operation) => {
    const sku_id = 'lines' in operation ? operation.lines[0]?.sku_id : operation.sku_id;
    const [outcome] = await engine.apply(map.shardOf(sku_id ?? ''), [operation], performance.now() + WAIT_MS);
    if (outcome === undefined) throw new Error('the engine returned no outcome');
    return outcome;
  };
  return {
    parts,
    carts,
    shardOf: (id) => map.shardOf(id),
    apply,
    async open(sku_id, leaved_amount) {
      const outcome = await apply({ kind: 'open', sku_id, leaved_amount });
      if (outcome.is !== 'applied') throw new Error(`opening ${sku_id}: ${JSON.stringify(outcome)}`);
    },
    async ready() {
      await Promise.all(shards.map(({ tried }) => tried));
    },
    sweeper: ({ rowsMax = 10_000, around = (given: ServicePorts) => given, faults = [] } = {}) =>
      // Each sweeper belongs to a different gateway.
      new Sweeper(
        { ...around(parts), holdCompletion: shareHoldCompletion() },
        {
          shardCount: SHARDS,
          everyMs: 1_000,
          rowsMax,
          onSwept: () => undefined,
          onUnreadable: (row) => faults.push(row),
          onFault: (error) => faults.push(error),
        },
      ),
    close: () => {
      for (const { pool } of shards) pool.close();
    },
  };
}

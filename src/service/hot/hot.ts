import type { HotRows, Layouts } from '../../core/hotPorts.ts';
import type { Layout } from '../../core/layout.ts';
import type { StockEngine } from '../../core/ports.ts';
import type { Routing } from '../routing.ts';
import { Rebalancer } from './gatherer.ts';
import type { RebalancerPorts } from './gatherer.ts';
import { HotSkuMaintainer } from './keeper.ts';
import { LayoutCache } from './layoutCache.ts';
import { Locator } from './locator.ts';
import type { ResizePorts } from './resize.ts';

/** The services for split SKUs that use cases work with. */
export interface HotServices extends RebalancerPorts, ResizePorts {
  readonly locator: Locator;
  readonly rebalancer: Rebalancer;
  readonly maintainer: HotSkuMaintainer;
}

export interface HotOptions {
  readonly routing: Routing;
  readonly engine: StockEngine;
  readonly store: Layouts;
  readonly rows: HotRows;
  readonly servers: readonly string[];
  readonly newId: () => string;
  readonly onFault: (error: unknown) => void;
}

/** Makes the services for split SKUs. */
export function createHotServices(options: HotOptions): HotServices {
  const { onFault } = options;
  const layouts = new LayoutCache(options.store, options.routing);
  const ports = { ...options, layouts };
  const rebalancer = new Rebalancer(ports, onFault);
  const spread = (layout: Layout): Promise<void> => rebalancer.spreadUnits(layout).catch(onFault);
  return {
    ...ports,
    rebalancer,
    spread,
    locator: new Locator(options.rows),
    maintainer: new HotSkuMaintainer({ ...ports, rebalancer, spread }, onFault),
  };
}

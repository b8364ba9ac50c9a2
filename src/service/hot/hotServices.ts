import type { HotRows } from '../../core/ports/hotRows.ts';
import type { Layouts } from '../../core/ports/layouts.ts';
import type { Layout } from '../../core/hot/layout.ts';
import type { StockEngine } from '../../core/ports/stockEngine.ts';
import type { Routing } from '../routing/routing.ts';
import { Rebalancer } from './rebalancer.ts';
import type { RebalancerPorts } from './rebalancerPorts.ts';
import { HotSkuMaintainer } from './hotSkuMaintainer.ts';
import { LayoutCache } from '../routing/layoutCache.ts';
import { IdLocator } from '../routing/idLocator.ts';
import type { ResizePorts } from './resize.ts';

/** The services for split SKUs that use cases work with. */
export interface HotServices extends RebalancerPorts, ResizePorts {
  readonly locator: IdLocator;
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
    locator: new IdLocator(options.rows),
    maintainer: new HotSkuMaintainer({ ...ports, rebalancer, spread }, onFault),
  };
}

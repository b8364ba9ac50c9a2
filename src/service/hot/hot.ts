import type { HotRows, Layouts } from '../../core/hotPorts.ts';
import type { Layout } from '../../core/layout.ts';
import type { StockEngine } from '../../core/ports.ts';
import type { Routing } from '../routing.ts';
import { Gatherer } from './gatherer.ts';
import type { GatherParts } from './gatherer.ts';
import { Keeper } from './keeper.ts';
import { LayoutCache } from './layoutCache.ts';
import { Locator } from './locator.ts';
import type { ResizeParts } from './resize.ts';

/** The services for split SKUs that use cases work with. */
export interface Hot extends GatherParts, ResizeParts {
  readonly locator: Locator;
  readonly gatherer: Gatherer;
  readonly keeper: Keeper;
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
export function createHot(options: HotOptions): Hot {
  const { onFault } = options;
  const layouts = new LayoutCache(options.store, options.routing);
  const ports = { ...options, layouts };
  const gatherer = new Gatherer(ports, onFault);
  const spread = (layout: Layout): Promise<void> => gatherer.spread(layout).catch(onFault);
  return {
    ...ports,
    gatherer,
    spread,
    locator: new Locator(options.rows),
    keeper: new Keeper({ ...ports, gatherer, spread }, onFault),
  };
}

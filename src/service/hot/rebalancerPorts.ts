import type { LayoutCache } from '../routing/layoutCache.ts';
import type { OverduePorts } from './overdueTransfers.ts';
import type { RebalanceLeasePorts } from './rebalanceLease.ts';

/** The ports of the rebalancer. */
export interface RebalancerPorts extends OverduePorts, RebalanceLeasePorts {
  readonly layouts: LayoutCache;
}

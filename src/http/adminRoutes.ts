import type { ApiCall } from './route.ts';
import { layoutRoutes } from './routes/layout.ts';
import type { LayoutServices } from './routes/layout.ts';
import { reconciliationRoute } from './routes/reconciliation.ts';
import type { ReconciliationServices } from './routes/reconciliation.ts';
import { healthRoutes, monitoringRoutes } from './routes/status.ts';
import type { StatusServices } from './routes/status.ts';
import { saleRoute, stockRoutes } from './routes/stock.ts';
import type { StockServices } from './routes/stock.ts';

/** The use cases behind the admin listener. */
export interface AdminServices extends StockServices, StatusServices, ReconciliationServices, LayoutServices {}

/** The calls of operators, Prometheus and load balancers. */
export function adminRoutes(services: AdminServices): ApiCall[] {
  return [
    ...stockRoutes(services),
    ...monitoringRoutes(services),
    ...healthRoutes(services),
    saleRoute(services),
    reconciliationRoute(services),
    ...layoutRoutes(services),
  ];
}

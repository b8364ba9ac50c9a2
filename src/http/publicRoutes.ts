import type { ApiCall } from './route.ts';
import { deductionRoutes } from './routes/deductions.ts';
import type { DeductionServices } from './routes/deductions.ts';
import { returnRoutes } from './routes/returns.ts';
import type { ReturnServices } from './routes/returns.ts';
import { availabilityRoute, skuRoutes } from './routes/skus.ts';
import type { SkuServices } from './routes/skus.ts';

/** The use cases behind the public listener. */
export interface PublicServices extends DeductionServices, SkuServices, ReturnServices {}

/** The calls of shop back ends. */
export function publicRoutes(services: PublicServices): ApiCall[] {
  return [...deductionRoutes(services), ...skuRoutes(services), ...returnRoutes(services), availabilityRoute(services)];
}

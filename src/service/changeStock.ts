import type { DeadlineMs } from '../core/nouns.ts';
import type { Adjust, Open, SetSale } from '../core/operation.ts';
import type { AppliedOutcome } from '../core/outcome.ts';
import type { StockEngine } from '../core/ports.ts';
import { applyOperation } from './applyOperation.ts';
import type { Routed } from './applyOperation.ts';
import type { Routing } from './routing.ts';

/** Opens a SKU, restocks it, writes units off, or lets it be sold or not. */
export function changeStock(
  parts: { readonly routing: Routing; readonly engine: StockEngine },
  operation: Adjust | Open | SetSale,
  deadlineMs: DeadlineMs,
): Promise<Routed<AppliedOutcome>> {
  return parts.routing.onOwners<Routed<AppliedOutcome>>((map) =>
    applyOperation(parts.engine, map.shardOf(operation.sku_id), operation, deadlineMs),
  );
}

import type { DeadlineMs } from '../core/nouns.ts';
import type { Adjust, Open, SetSale } from '../core/operation.ts';
import type { AppliedOutcome } from '../core/outcome.ts';
import { applyOperation } from './applyOperation.ts';
import type { Routed } from './applyOperation.ts';
import { adjustHot } from './hot/adjustHot.ts';
import { setSaleHot } from './hot/setSaleHot.ts';
import type { Parts } from './parts.ts';

/** Opens a SKU, restocks it, writes units off, or lets it be sold or not. */
export function changeStock(parts: Parts, operation: Adjust | Open | SetSale, deadlineMs: DeadlineMs): Promise<Routed<AppliedOutcome>> {
  switch (operation.kind) {
    case 'open':
      return parts.routing.onOwners((map) => applyOperation(parts.engine, map.shardOf(operation.sku_id), operation, deadlineMs)) as Promise<Routed<AppliedOutcome>>;
    case 'adjust':
      return adjustHot(parts, operation, deadlineMs);
    case 'sale':
      return setSaleHot(parts, operation, deadlineMs);
  }
}

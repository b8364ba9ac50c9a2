import type { DeadlineMs } from '../../core/types.ts';
import type { Adjust, SetSale } from '../../core/operation.ts';
import type { AppliedOutcome } from '../../core/outcome.ts';
import type { Routed } from '../orders/applyOperation.ts';
import { adjustHot } from '../hot/adjustHot.ts';
import { setSaleHot } from '../hot/setSaleHot.ts';
import type { ServicePorts } from '../servicePorts.ts';

/** Restocks a SKU, writes units off, or turns its sale on or off. */
export function changeStock(
  ports: ServicePorts,
  operation: Adjust | SetSale,
  deadlineMs: DeadlineMs,
): Promise<Routed<AppliedOutcome>> {
  switch (operation.kind) {
    case 'adjust':
      return adjustHot(ports, operation, deadlineMs);
    case 'sale':
      return setSaleHot(ports, operation, deadlineMs);
  }
}

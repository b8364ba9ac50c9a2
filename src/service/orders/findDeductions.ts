import type { DeadlineMs, FlowKey } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import { lookUpLines } from './lookUpLines.ts';
import type { FoundDeduction } from './lookUpLines.ts';
import type { ServicePorts } from '../servicePorts.ts';

export interface FoundDeductions {
  readonly is: 'found';
  /** One entry per key, in their order; null where there is no deduction. */
  readonly deductions: readonly (FoundDeduction | null)[];
}

/**
 * Looks up deductions for a caller that needs all of them: when one line cannot be read, there is no answer. A flow is
 * `pending` only while its cart is open.
 */
export async function findDeductions(
  ports: ServicePorts,
  keys: readonly FlowKey[],
  deadlineMs: DeadlineMs,
): Promise<FoundDeductions | NotDone> {
  const reads = await lookUpLines(ports, keys, deadlineMs);
  const deductions: (FoundDeduction | null)[] = [];
  for (const read of reads) {
    if (read.is === 'unavailable') return { is: 'not_done', reason: read.reason };
    deductions.push(read.is === 'found' ? read : null);
  }
  return { is: 'found', deductions };
}

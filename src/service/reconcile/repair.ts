import type { DeadlineMs } from '../../core/types.ts';
import type { Auditor } from '../../core/ports/auditor.ts';
import { differenceKey, gapOf } from '../../core/books/reconciliation.ts';
import type { StockDifference } from '../../core/books/reconciliation.ts';
import { errorText } from '../../core/text/errorText.ts';

/** The outcome of one difference. It is never "not repaired" for an adjustment that may be written. */
export type Repair =
  /** The adjustment was written: the journal equals the row. */
  | { readonly outcome: 'repaired'; readonly adjustment_id: string; readonly reason: null }
  /** Nothing was written, and nothing of this attempt will be. */
  | { readonly outcome: 'not_repaired'; readonly adjustment_id: null; readonly reason: string }
  /** The adjustment may be written. The same command, run again, repairs the difference if it is still there. */
  | { readonly outcome: 'unknown'; readonly adjustment_id: string; readonly reason: string };

export interface RepairOptions {
  readonly auditor: Pick<Auditor, 'repair'>;
  /** The prefix of the ids of the adjustments; absent: nothing is changed. */
  readonly repairIdPrefix: string | undefined;
  readonly deadlineMs: DeadlineMs;
}

/**
 * Writes an adjustment where a row and its journal differ by the same amount at both reads. Any other difference is
 * left for an operator.
 *
 * @param earlier the differences of the first read
 */
export async function repair(
  difference: StockDifference,
  earlier: readonly StockDifference[],
  { auditor, repairIdPrefix, deadlineMs }: RepairOptions,
): Promise<Repair> {
  const obstacle = repairIdPrefix === undefined ? 'a repair was not asked for' : obstacleOf(difference, earlier);
  if (obstacle !== null) return notRepaired(obstacle);
  const { shard, sku_id, expected, actual } = difference;
  const adjustment_id = `${repairIdPrefix}-${shard}`;
  const adjustment = {
    kind: 'adjust',
    sku_id,
    adjustment_id,
    delta: Number(gapOf(difference)),
    reason: `reconciliation: ${actual} left by the row, ${expected} by its journal`,
  } as const;
  // An exception leaves this outcome open, and must not hide the outcomes of the other differences.
  const mended = await auditor
    .repair(shard, adjustment, deadlineMs)
    .catch((error: unknown) => ({ is: 'unknown', reason: errorText(error) }) as const);
  switch (mended.is) {
    case 'mended':
      return { outcome: 'repaired', adjustment_id, reason: null };
    case 'changed':
      return notRepaired('the row or its journal changed after the second read; run the command again');
    case 'not_mine':
      return notRepaired('another shard owns its slot now; run the command again');
    case 'not_done':
      return notRepaired(mended.reason);
    case 'unknown':
      return {
        outcome: 'unknown',
        adjustment_id,
        reason: `the adjustment ${adjustment_id} may be written; run the command again (${mended.reason})`,
      };
  }
}

/** Why a difference is not repaired; null: it may be repaired. */
function obstacleOf(difference: StockDifference, earlier: readonly StockDifference[]): string | null {
  const { kind, sub_row = 0 } = difference;
  if (kind !== 'leaved_amount') {
    return `a difference of kind ${kind} needs an operator's decision; only leaved_amount is repaired`;
  }
  if (sub_row !== 0) return `it is in sub-row ${sub_row} of a split SKU, and adjustments belong to sub-row 0`;
  const gap = gapOf(difference);
  const before = earlier.find((one) => differenceKey(one) === differenceKey(difference));
  if (before === undefined || gapOf(before) !== gap) {
    const from = before === undefined ? 'none' : gapOf(before);
    return `it changed between the two reads, from ${from} to ${gap}; run the command again`;
  }
  return Number.isSafeInteger(Number(gap))
    ? null
    : `${gap} units are more than an adjustment can hold, ${Number.MAX_SAFE_INTEGER}`;
}

function notRepaired(reason: string): Repair {
  return { outcome: 'not_repaired', adjustment_id: null, reason };
}

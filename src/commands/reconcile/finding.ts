import { NO_WATERMARK } from '../../core/restore/watermarks.ts';
import type { MissingRecord } from '../../core/restore/missingRecord.ts';
import type { ReferenceComparison } from '../../service/restore/missingByReference.ts';
import { isBelowWatermark } from '../../service/restore/restoreStatus.ts';
import type { RestoreStatus } from '../../service/restore/restoreStatus.ts';

/** A shard and its missing records. */
export interface Finding {
  readonly status: RestoreStatus;
  readonly missing: readonly MissingRecord[];
  /** The comparison with the reference copy; null: there is no reference copy. */
  readonly reference: (ReferenceComparison & { readonly reached: number }) | null;
}

/** The moment that the reference copy must reach at least: that of the backup, or of an earlier copy. */
export function minWatermark(status: RestoreStatus, saidMs: number | null): number {
  return Math.max(isBelowWatermark(status) ? status.watermark : NO_WATERMARK, status.copied, (saidMs ?? 0) * 1_000);
}

/** Whether a shard equals a reference copy that reaches the furthest moment that any shard recorded of it. */
export function isComplete({ status, reference }: Pick<Finding, 'status' | 'reference'>): boolean {
  return (
    reference !== null &&
    isBelowWatermark(status) &&
    reference.reached >= status.watermarkBefore &&
    equalsReference(reference)
  );
}

/** Whether the shard equals the reference copy, because it was the same or was copied. */
export function equalsReference(past: Finding['reference']): boolean {
  return past !== null && past.differing === 0 && past.ahead.size === 0;
}

import type { DeadlineMs } from '../../core/types.ts';
import type { Open } from '../../core/operation.ts';
import type { AppliedOutcome, NotDone, Refused, OutcomeInDoubt } from '../../core/outcome.ts';
import { applyOperation } from '../orders/applyOperation.ts';
import type { Routed } from '../orders/applyOperation.ts';
import type { ServicePorts } from '../servicePorts.ts';
import { readSku } from './readSku.ts';

/** A SKU with the requested opening stock. */
export interface OpenedSku {
  readonly is: 'opened';
  /** Whether the SKU existed before. */
  readonly replayed: boolean;
  /** The opening stock, in units. */
  readonly opened_with: number;
  /** Units left now, in all rows. */
  readonly leaved_amount: number;
}

/** A SKU with another opening stock; nothing was changed. */
export interface SkuExists extends Omit<OpenedSku, 'is' | 'replayed'> {
  readonly is: 'exists';
}

/** The outcomes of an attempt to open a SKU. */
export type OpenAnswer = OpenedSku | SkuExists | Refused | NotDone | OutcomeInDoubt;

/**
 * Opens a SKU with its opening stock, in units. It does not change a SKU that exists; it reads the units left of it.
 *
 * @returns `not_done` also when the SKU exists and its stock could not be read in time
 */
export async function openSku(ports: ServicePorts, operation: Open, deadlineMs: DeadlineMs): Promise<OpenAnswer> {
  const { sku_id, leaved_amount } = operation;
  const outcome = await ports.routing.onOwners((map) => {
    const shard = map.shardOf(sku_id);
    return applyOperation(ports.engine, shard, operation, deadlineMs) as Promise<Routed<AppliedOutcome>>;
  });
  const opened = { is: 'opened', opened_with: leaved_amount } as const;
  if (outcome.is === 'applied' && !outcome.replayed) return { ...opened, replayed: false, leaved_amount };
  if (outcome.is !== 'applied' && (outcome.is !== 'refused' || outcome.opened_with === undefined)) return outcome;
  const stock = await readSku(ports, sku_id, deadlineMs);
  if (stock.is !== 'found') return stock;
  const { leaved_amount: left } = stock;
  if (outcome.is === 'applied') return { ...opened, replayed: true, leaved_amount: left };
  return { is: 'exists', opened_with: outcome.opened_with ?? leaved_amount, leaved_amount: left };
}

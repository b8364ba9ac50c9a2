import { chunksOf } from '../../core/async/chunksOf.ts';
import { MARK_COPYING, watermarkText, NO_WATERMARK } from '../../core/restore/watermarks.ts';
import type { RestoredShards, TransferTrace } from '../../core/ports/restoredShards.ts';
import type { MissingRecord } from '../../core/restore/missingRecord.ts';
import type { SplitSkus } from '../../core/restore/splitSkus.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { Auditor } from '../../core/ports/auditor.ts';
import type { StockDifference } from '../../core/books/reconciliation.ts';
import { auditCarts } from '../reconcile/auditCarts.ts';
import type { Routing } from '../routing/routing.ts';
import { ReadFailures } from '../reconcile/readFailures.ts';
import { mergeMissing } from './mergeMissing.ts';
import { missingCarts } from './missingCarts.ts';
import { missingLayouts } from './missingLayouts.ts';
import { isBelowWatermark } from './restoreStatus.ts';
import type { RestoreStatus } from './restoreStatus.ts';

const AT_A_TIME = 400;
/** Clocks of servers differ, and a backup may lack transactions that were under way when it was made. */
const MARGIN_MS = 60 * 60 * 1_000;
/** The largest difference between the clocks of two servers. */
const CLOCK_SKEW_MS_MAX = 60_000;

export interface SiblingPorts {
  readonly routing: Routing;
  readonly auditor: Auditor;
  readonly shards: RestoredShards;
  readonly shardCount: number;
  /** The rows and layouts of split SKUs on each shard. */
  readonly splits: readonly SplitSkus[];
  /** The time of the backup as the operator states it, in milliseconds since 1970; null: not stated. */
  readonly sinceMs: number | null;
  /** The names of the shards, for operators. */
  readonly nameOf: (shard: ShardIndex) => string;
  /** Called for each row that cannot be read; it may be called several times for one row. */
  readonly onUnreadable: (shard: ShardIndex, row: string) => void;
}

/**
 * Finds the records that restored shards lack, from the records of the other shards. These are lines that carts of
 * other shards sold there, the records of carts that sold lines on other shards, the other sides of transfers, and
 * layouts that the rows of other shards show.
 *
 * @throws when one of the shards cannot be read
 */
export async function missingBySiblings(
  ports: SiblingPorts,
  restored: readonly RestoreStatus[],
  deadlineMs: DeadlineMs,
): Promise<ReadonlyMap<ShardIndex, readonly MissingRecord[]>> {
  const lost = new Map<ShardIndex, MissingRecord[]>(restored.map(({ shard }) => [shard, []]));
  for (let shard: ShardIndex = 0; shard < ports.shardCount; shard += 1) {
    const others = restored.filter((status) => status.shard !== shard);
    const lines = others.length === 0 ? [] : await cartLinesMissing(ports, shard, deadlineMs);
    for (const status of others) {
      const of = status.shard;
      const fromMs = backupTimeMs(status, ports.sinceMs);
      const sinceMs = Math.max(0, fromMs - MARGIN_MS);
      const query: Query = { ports, of, toldBy: ports.nameOf(shard), deadlineMs };
      const found = [
        lines.flatMap((difference) => lostLine(difference, of, `a cart on ${query.toldBy}`)),
        await missingCarts(ports, { ...query, shard, sinceMs }, deadlineMs),
        await lostTransfers(query, await ports.shards.readTransfers(shard, of, sinceMs, deadlineMs)),
        missingLayouts(ports, of, shard, fromMs - CLOCK_SKEW_MS_MAX, query.toldBy),
      ];
      lost.set(of, (lost.get(of) ?? []).concat(...found));
    }
  }
  return new Map([...lost].map(([shard, all]) => [shard, mergeMissing(all)]));
}

/** A restored shard, and the shard whose records are compared with it. */
interface Query {
  readonly ports: SiblingPorts;
  /** The restored shard. */
  readonly of: ShardIndex;
  /** The name of the other shard. */
  readonly toldBy: string;
  readonly deadlineMs: DeadlineMs;
}

/** Finds missing lines of the carts whose records are on a shard. */
async function cartLinesMissing(
  { routing, auditor, nameOf, shardCount, onUnreadable }: SiblingPorts,
  shard: ShardIndex,
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
  const failures = new ReadFailures();
  const differences = await auditCarts({ routing, auditor, readFailures: failures }, shard, null, deadlineMs);
  for (let each = 0; each < shardCount; each += 1) {
    for (const row of failures.rowsOf(each)) onUnreadable(each, row);
    const reason = failures.failureOf(each);
    if (reason !== null) throw new Error(`${nameOf(each)}: ${reason}`);
  }
  return differences.filter(({ kind }) => kind === 'cart_line');
}

function lostLine(
  { shard, sku_id, cart, order_detail_ids: [order_detail_id], expected }: StockDifference,
  of: ShardIndex,
  toldBy: string,
): MissingRecord[] {
  if (shard !== of || cart === null || order_detail_id === undefined) return [];
  const [order_id, quantity] = [cart.order_id, Number(expected)];
  return [
    {
      kind: 'flow',
      toldBy,
      sku_id,
      order_id,
      order_detail_id,
      id: null,
      quantity,
      // The flow names the transaction again, so that it shows the record if that is lost some day.
      redo: {
        ...{ kind: 'deduct', order_id, lines: [{ sku_id, order_detail_id, quantity }] },
        ...(cart.transaction === undefined ? {} : { transaction: cart.transaction }),
      },
    },
  ];
}

/** Finds debits and credits of transfers that the restored shard lacks, by the other side of each transfer. */
async function lostTransfers(
  { ports, of, toldBy, deadlineMs }: Query,
  transfers: readonly TransferTrace[],
): Promise<MissingRecord[]> {
  const lost: MissingRecord[] = [];
  for (const direction of ['out', 'in'] as const) {
    // The credit of an open transfer is not missing: a rebalance or the sweeper writes it.
    const closed = transfers.filter(
      (transfer) => transfer.direction === direction && !(direction === 'out' && transfer.isOpen),
    );
    for (const some of chunksOf(closed, AT_A_TIME)) {
      const present = await ports.shards.findTransfers(
        of,
        some.map(({ transfer_id }) => transfer_id),
        direction === 'out' ? 'in' : 'out',
        deadlineMs,
      );
      const missing = some.filter(({ transfer_id }) => !present.has(transfer_id));
      lost.push(...missing.map((transfer) => lostTransfer(transfer, toldBy)));
    }
  }
  return lost;
}

/**
 * The missing side of a transfer. A shard without its debit still has the units that it sent: their count is negative.
 */
function lostTransfer({ direction, isOpen: _, ...transfer }: TransferTrace, toldBy: string): MissingRecord {
  const { sku_id, transfer_id, amount } = transfer;
  const about = { kind: 'transfer', toldBy, sku_id, order_id: null, order_detail_id: null, id: transfer_id } as const;
  // No epoch, so that a row of any layout gives the units: it may have been closed since the backup.
  return direction === 'out'
    ? { ...about, quantity: amount, redo: { kind: 'receive', ...transfer } }
    : { ...about, quantity: -amount, redo: { kind: 'send', ...transfer, epoch: null } };
}

/**
 * The time of the backup, from the watermark of the shard or from the operator, in milliseconds since 1970; 0: unknown.
 *
 * @param statedMs the time that the operator states; null: none
 */
export function backupTimeMs(status: RestoreStatus, statedMs: number | null): number {
  if (!isBelowWatermark(status) || status.watermark === NO_WATERMARK) return statedMs ?? 0;
  // Directly after its acceptance, a shard shows a watermark in the future.
  return Math.min(status.watermark / 1_000 - CLOCK_SKEW_MS_MAX, statedMs ?? Infinity);
}

/** Describes the status of a restored shard, for operators. */
export function describeStatus(status: RestoreStatus, statedMs: number | null): string {
  const sinceMs = backupTimeMs(status, statedMs);
  const since =
    sinceMs === 0
      ? 'the time of its backup is unknown; state it with --since'
      : `records since ${new Date(sinceMs).toISOString()} may be missing`;
  if (status.mark === MARK_COPYING) return `a reference copy was copied over it only in part; ${since}`;
  return isBelowWatermark(status)
    ? `${since}; it had reached ${watermarkText(status.watermarkBefore)}`
    : `no shard has a later watermark of it; ${since}`;
}

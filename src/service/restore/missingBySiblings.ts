import { chunksOf } from '../../core/async/chunksOf.ts';
import { MARK_COPYING, watermarkText, NO_WATERMARK } from '../../core/restore/watermarks.ts';
import type {
  CartSale,
  CartSalesPage,
  RestoredShards,
  SalePosition,
  TransferTrace,
} from '../../core/ports/restoredShards.ts';
import type { MissingRecord, SoldCart } from '../../core/restore/missingRecord.ts';
import type { SplitSkus } from '../../core/restore/splitSkus.ts';
import type { CartLine, DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { Auditor } from '../../core/ports/auditor.ts';
import type { StockDifference } from '../../core/books/reconciliation.ts';
import { cartText } from '../carts/cartBatches.ts';
import { auditCarts } from '../reconcile/auditCarts.ts';
import type { Routing } from '../routing/routing.ts';
import { ReadFailures } from '../reconcile/readFailures.ts';
import { missingLayouts } from './missingLayouts.ts';
import { uncommittedCarts } from './uncommittedCarts.ts';
import { isBelowWatermark } from './restoreStatus.ts';
import type { RestoreStatus } from './restoreStatus.ts';

const AT_A_TIME = 400;
const SALES_AT_A_TIME = 5_000;
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
        await lostCarts(query, shard, sinceMs),
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
      redo: { kind: 'deduct', order_id, lines: [{ sku_id, order_detail_id, quantity }] },
    },
  ];
}

async function lostCarts(
  { ports, of, toldBy, deadlineMs }: Query,
  shard: ShardIndex,
  sinceMs: number,
): Promise<MissingRecord[]> {
  const lost: MissingRecord[] = [];
  for (let after: SalePosition | null = null; ;) {
    const { sales, next }: CartSalesPage = await ports.shards.readCartSales(
      shard,
      sinceMs,
      after,
      SALES_AT_A_TIME,
      deadlineMs,
    );
    const carts = cartsOf(
      sales.filter(({ order_id }) => ports.routing.map.shardOf(order_id) === of),
      shard,
    );
    lost.push(
      ...(await uncommittedCarts(ports.auditor, of, carts, deadlineMs)).map((cart) => missingCart(cart, toldBy)),
    );
    if (next === null) return lost;
    after = next;
  }
}

/** Groups sold lines by cart. @param shard the shard that sold the lines */
function cartsOf(sales: readonly CartSale[], shard: ShardIndex): SoldCart[] {
  const carts = new Map<string, SoldCart & { readonly lines: CartLine[] }>();
  for (const { order_id, attempt, sku_id, order_detail_id, quantity } of sales) {
    const cart = carts.get(cartText({ order_id, attempt })) ?? { order_id, attempt, lines: [] };
    cart.lines.push({ sku_id, order_detail_id, quantity, shard });
    carts.set(cartText(cart), cart);
  }
  return [...carts.values()];
}

/** @param cart with its known lines; the next attempt of the order names all lines, and finds them deducted */
export function missingCart(cart: SoldCart, toldBy: string): MissingRecord {
  return {
    kind: 'cart',
    toldBy,
    sku_id: null,
    order_id: cart.order_id,
    order_detail_id: null,
    id: String(cart.attempt),
    quantity: null,
    redo: { kind: 'record', cart },
  };
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
 * Keeps one entry for each missing record. Several sources may report the same record: shards, the shop's books, the
 * reference copy. An entry with a `redo` has priority. The entry of a cart has all lines that the sources know.
 */
export function mergeMissing(lost: readonly MissingRecord[]): MissingRecord[] {
  const all = new Map<string, MissingRecord>();
  for (const record of lost) {
    const known = all.get(lostKey(record));
    all.set(lostKey(record), known === undefined ? record : merged(known, record));
  }
  return [...all.values()];
}

function merged(known: MissingRecord, other: MissingRecord): MissingRecord {
  if (known.redo === null) return other;
  if (known.redo.kind !== 'record' || other.redo?.kind !== 'record') return known;
  const lines = new Map(
    [...other.redo.cart.lines, ...known.redo.cart.lines].map((line) => [
      `${line.sku_id}\0${line.order_detail_id}`,
      line,
    ]),
  );
  return { ...known, redo: { kind: 'record', cart: { ...known.redo.cart, lines: [...lines.values()] } } };
}

function lostKey({ kind, sku_id, order_id, order_detail_id, id }: MissingRecord): string {
  // The key of a flow is its SKU and its order detail, in the report of any source.
  return kind === 'flow'
    ? [kind, sku_id, order_detail_id].join('\0')
    : [kind, sku_id, order_id, order_detail_id, id].join('\0');
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

import { HALF_COPIED, momentOf, NOTHING } from '../../core/generations.ts';
import type {
  CartSale,
  CartSalesPage,
  Lost,
  RestoredShards,
  SalePosition,
  SoldCart,
  Splits,
  TransferTrace,
} from '../../core/lost.ts';
import type { CartLine, DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import type { Auditor } from '../../core/ports.ts';
import type { ShelfDifference } from '../../core/reconciliation.ts';
import { cartText, piecesOf } from '../cartBatches.ts';
import { followCarts } from '../followCarts.ts';
import type { Routing } from '../routing.ts';
import { Unread } from '../unread.ts';
import { lostLayouts } from './lostLayouts.ts';
import { unrecorded } from './unrecorded.ts';
import { wasSeen } from './whoWentBack.ts';
import type { Standing } from './whoWentBack.ts';

const AT_A_TIME = 400;
const SALES_AT_A_TIME = 5_000;
/** Clocks of servers differ, and what was under way when the backup was made is in it or not. */
const MARGIN_MS = 60 * 60 * 1_000;
/** So far apart the clocks of two servers may be. */
const CLOCKS_MS = 60_000;

export interface SiblingParts {
  readonly routing: Routing;
  readonly auditor: Auditor;
  readonly shards: RestoredShards;
  readonly shardCount: number;
  /** What each shard has of split SKUs. */
  readonly splits: readonly Splits[];
  /** When the backup was made, where somebody says so; in milliseconds since 1970. */
  readonly sinceMs: number | null;
  /** The names of the shards, for operators. */
  readonly nameOf: (shard: ShardIndex) => string;
  /** Called for each row that cannot be read; it may be the same one several times. */
  readonly onUnreadable: (shard: ShardIndex, row: string) => void;
}

/**
 * What the other shards know of restored ones: lines that their carts have sold there, carts that sold something on them and whose record
 * was there, the other sides of transfers, and rows in layouts that are not written down.
 *
 * @throws when one of the shards cannot be read
 */
export async function lostToSiblings(
  parts: SiblingParts,
  restored: readonly Standing[],
  deadlineMs: DeadlineMs,
): Promise<ReadonlyMap<ShardIndex, readonly Lost[]>> {
  const lost = new Map<ShardIndex, Lost[]>(restored.map(({ shard }) => [shard, []]));
  for (let shard: ShardIndex = 0; shard < parts.shardCount; shard += 1) {
    const others = restored.filter((standing) => standing.shard !== shard);
    const lines = others.length === 0 ? [] : await cartLinesMissing(parts, shard, deadlineMs);
    for (const standing of others) {
      const of = standing.shard;
      const fromMs = sinceMsOf(standing, parts.sinceMs);
      const sinceMs = Math.max(0, fromMs - MARGIN_MS);
      const asking: Asking = { parts, of, toldBy: parts.nameOf(shard), deadlineMs };
      const found = [
        lines.flatMap((difference) => lostLine(difference, of, `a cart on ${asking.toldBy}`)),
        await lostCarts(asking, shard, sinceMs),
        await lostTransfers(asking, await parts.shards.readTransfers(shard, of, sinceMs, deadlineMs)),
        lostLayouts(parts, of, shard, fromMs - CLOCKS_MS, asking.toldBy),
      ];
      lost.set(of, (lost.get(of) ?? []).concat(...found));
    }
  }
  return new Map([...lost].map(([shard, all]) => [shard, onceEach(all)]));
}

/** One shard that was restored, and who tells of it. */
interface Asking {
  readonly parts: SiblingParts;
  readonly of: ShardIndex;
  readonly toldBy: string;
  readonly deadlineMs: DeadlineMs;
}

/** Of the carts whose records are on a shard. */
async function cartLinesMissing(
  { routing, auditor, nameOf, shardCount, onUnreadable }: SiblingParts,
  shard: ShardIndex,
  deadlineMs: DeadlineMs,
): Promise<ShelfDifference[]> {
  const unread = new Unread();
  const differences = await followCarts({ routing, auditor, unread }, shard, null, deadlineMs);
  for (let each = 0; each < shardCount; each += 1) {
    for (const row of unread.rowsOf(each)) onUnreadable(each, row);
    const reason = unread.failureOf(each);
    if (reason !== null) throw new Error(`${nameOf(each)}: ${reason}`);
  }
  return differences.filter(({ kind }) => kind === 'cart_line');
}

function lostLine(
  { shard, sku_id, cart, order_detail_ids: [order_detail_id], expected }: ShelfDifference,
  of: ShardIndex,
  toldBy: string,
): Lost[] {
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
  { parts, of, toldBy, deadlineMs }: Asking,
  shard: ShardIndex,
  sinceMs: number,
): Promise<Lost[]> {
  const lost: Lost[] = [];
  for (let after: SalePosition | null = null; ;) {
    const { sales, next }: CartSalesPage = await parts.shards.readCartSales(
      shard,
      sinceMs,
      after,
      SALES_AT_A_TIME,
      deadlineMs,
    );
    const carts = cartsOf(
      sales.filter(({ order_id }) => parts.routing.map.shardOf(order_id) === of),
      shard,
    );
    lost.push(...(await unrecorded(parts.auditor, of, carts, deadlineMs)).map((cart) => cartLost(cart, toldBy)));
    if (next === null) return lost;
    after = next;
  }
}

/** @param shard where the lines were sold */
function cartsOf(sales: readonly CartSale[], shard: ShardIndex): SoldCart[] {
  const carts = new Map<string, SoldCart & { readonly lines: CartLine[] }>();
  for (const { order_id, attempt, sku_id, order_detail_id, quantity } of sales) {
    const cart = carts.get(cartText({ order_id, attempt })) ?? { order_id, attempt, lines: [] };
    cart.lines.push({ sku_id, order_detail_id, quantity, shard });
    carts.set(cartText(cart), cart);
  }
  return [...carts.values()];
}

/** @param cart with the lines that are known; the order's next attempt names all of them, and finds them sold */
export function cartLost(cart: SoldCart, toldBy: string): Lost {
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

/** Units that came from it and now lie on it again, and units that it had got and has not. */
async function lostTransfers(
  { parts, of, toldBy, deadlineMs }: Asking,
  transfers: readonly TransferTrace[],
): Promise<Lost[]> {
  const lost: Lost[] = [];
  for (const direction of ['out', 'in'] as const) {
    // Units that left and have not arrived are brought by whoever finds them.
    const closed = transfers.filter(
      (transfer) => transfer.direction === direction && !(direction === 'out' && transfer.isOpen),
    );
    for (const some of piecesOf(closed, AT_A_TIME)) {
      const standing = await parts.shards.findTransfers(
        of,
        some.map(({ transfer_id }) => transfer_id),
        direction === 'out' ? 'in' : 'out',
        deadlineMs,
      );
      const missing = some.filter(({ transfer_id }) => !standing.has(transfer_id));
      lost.push(...missing.map((transfer) => lostTransfer(transfer, toldBy)));
    }
  }
  return lost;
}

/** Units that it still has, though they went away, are too many. @param trace of the other side */
function lostTransfer({ direction, isOpen: _, ...transfer }: TransferTrace, toldBy: string): Lost {
  const { sku_id, transfer_id, amount } = transfer;
  const about = { kind: 'transfer', toldBy, sku_id, order_id: null, order_detail_id: null, id: transfer_id } as const;
  // Out of whatever layout: the row may have been closed since the backup.
  return direction === 'out'
    ? { ...about, quantity: amount, redo: { kind: 'receive', ...transfer } }
    : { ...about, quantity: -amount, redo: { kind: 'send', ...transfer, epoch: null } };
}

/** The same may be told of by several: shards, the shop's books, the state before. Who knows how to bring it back counts, and of a cart all lines that are known. */
export function onceEach(lost: readonly Lost[]): Lost[] {
  const all = new Map<string, Lost>();
  for (const one of lost) {
    const known = all.get(lostKey(one));
    all.set(lostKey(one), known === undefined ? one : together(known, one));
  }
  return [...all.values()];
}

function together(known: Lost, other: Lost): Lost {
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

function lostKey({ kind, sku_id, order_id, order_detail_id, id }: Lost): string {
  // A flow is one by its SKU and its order detail, whoever tells of it.
  return kind === 'flow'
    ? [kind, sku_id, order_detail_id].join('\0')
    : [kind, sku_id, order_id, order_detail_id, id].join('\0');
}

/** When the backup was made, by what the shard shows or by what is said, in milliseconds since 1970; 0: it is not known. */
export function sinceMsOf(standing: Standing, saidMs: number | null): number {
  if (!wasSeen(standing) || standing.shows === NOTHING) return saidMs ?? 0;
  // Right after it was accepted a shard shows a moment that is still to come.
  return Math.min(standing.shows / 1_000 - CLOCKS_MS, saidMs ?? Infinity);
}

/** How a shard stands, in words. */
export function inWords(standing: Standing, saidMs: number | null): string {
  const sinceMs = sinceMsOf(standing, saidMs);
  const since =
    sinceMs === 0
      ? 'since when something is missing is not known, and --since can say it'
      : `what happened since ${new Date(sinceMs).toISOString()} may be missing`;
  if (standing.mark === HALF_COPIED) return `a state before was copied over it and not to the end; ${since}`;
  return wasSeen(standing) ? `${since}; it had reached ${momentOf(standing.had)}` : `nobody saw it go back; ${since}`;
}

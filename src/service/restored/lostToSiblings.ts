import { momentOf } from '../../core/generations.ts';
import type { Lost, RestoredShards, Traces } from '../../core/lost.ts';
import type { CartKey, DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import type { Auditor } from '../../core/ports.ts';
import { cartText, piecesOf } from '../cartBatches.ts';
import { followCarts } from '../followCarts.ts';
import type { Routing } from '../routing.ts';
import { Unread } from '../unread.ts';
import type { Standing } from './whoWentBack.ts';

const AT_A_TIME = 400;
/** Clocks of servers differ, and what was under way when the backup was made is in it or not. */
const MARGIN_MS = 60 * 60 * 1_000;

export interface SiblingParts {
  readonly routing: Routing;
  readonly auditor: Auditor;
  readonly shards: RestoredShards;
  readonly shardCount: number;
  /** The names of the shards, for operators. */
  readonly nameOf: (shard: ShardIndex) => string;
}

/**
 * What the other shards know of a restored one: lines that their carts have sold on it, carts that sold something on them and whose record
 * was on it, the other sides of transfers with it, and rows in layouts that it has not written down.
 *
 * @throws when one of them cannot be read
 */
export async function lostToSiblings(parts: SiblingParts, restored: Standing, deadlineMs: DeadlineMs): Promise<Lost[]> {
  const { shard: of, shows } = restored;
  const sinceMs = Math.max(0, shows / 1_000 - MARGIN_MS);
  const others = Array.from({ length: parts.shardCount }, (_, shard): ShardIndex => shard).filter((shard) => shard !== of);
  const lost: Lost[] = [];
  for (const shard of others) {
    const traces = await parts.shards.readTraces(shard, of, sinceMs, deadlineMs);
    const toldBy = parts.nameOf(shard);
    lost.push(...(await lostCartLines(parts, of, shard, deadlineMs)));
    lost.push(...(await lostCarts(parts, of, shard, traces, deadlineMs)), ...(await lostTransfers(parts, of, traces, toldBy, deadlineMs)), ...(await lostLayouts(parts, of, traces, toldBy, deadlineMs)));
  }
  return onceEach(lost);
}

async function lostCartLines({ routing, auditor, nameOf }: SiblingParts, of: ShardIndex, shard: ShardIndex, deadlineMs: DeadlineMs): Promise<Lost[]> {
  const unread = new Unread();
  const differences = await followCarts({ routing, auditor, unread }, shard, null, deadlineMs);
  const reason = unread.reasonOf(shard) ?? unread.reasonOf(of);
  if (reason !== null) throw new Error(reason);
  return differences.flatMap((difference) => {
    const { kind, sku_id, cart, order_detail_ids: [order_detail_id], expected } = difference;
    if (kind !== 'cart_line' || difference.shard !== of || cart === null || order_detail_id === undefined) return [];
    const [order_id, quantity] = [cart.order_id, Number(expected)];
    const redo = { kind: 'deduct', order_id, lines: [{ sku_id, order_detail_id, quantity }] } as const;
    return [{ kind: 'flow', toldBy: `a cart on ${nameOf(shard)}`, sku_id, order_id, order_detail_id, id: null, quantity, redo }];
  });
}

async function lostCarts({ routing, auditor, nameOf }: SiblingParts, of: ShardIndex, shard: ShardIndex, { carts }: Traces, deadlineMs: DeadlineMs): Promise<Lost[]> {
  const toldBy = nameOf(shard);
  const here = carts.filter(({ order_id }) => routing.map.shardOf(order_id) === of);
  const keys = new Map<string, CartKey>(here.map(({ order_id, attempt }) => [cartText({ order_id, attempt }), { order_id, attempt }]));
  const standing = new Set<string>();
  for (const some of piecesOf([...keys.values()], AT_A_TIME)) for (const cart of await auditor.readCarts(of, some, deadlineMs)) standing.add(cartText(cart));
  return [...keys].flatMap(([text, cart]): Lost[] => {
    if (standing.has(text)) return [];
    // Those that are known; the order's next attempt names all of them, and finds them sold.
    const lines = here.filter((flow) => cartText(flow) === text).map(({ sku_id, order_detail_id, quantity }) => ({ sku_id, order_detail_id, quantity, shard }));
    return [{ kind: 'cart', toldBy, sku_id: null, order_id: cart.order_id, order_detail_id: null, id: String(cart.attempt), quantity: null, redo: { kind: 'record', cart: { ...cart, lines } } }];
  });
}

/** Units that came from it and now lie on it again, and units that it had got and has not. */
async function lostTransfers({ shards }: SiblingParts, of: ShardIndex, { transfers }: Traces, toldBy: string, deadlineMs: DeadlineMs): Promise<Lost[]> {
  const lost: Lost[] = [];
  for (const direction of ['out', 'in'] as const) {
    // Units that left and have not arrived are brought by whoever finds them.
    const closed = transfers.filter((transfer) => transfer.direction === direction && !(direction === 'out' && transfer.isOpen));
    for (const some of piecesOf(closed, AT_A_TIME)) {
      const standing = await shards.findTransfers(of, some.map(({ transfer_id }) => transfer_id), direction === 'out' ? 'in' : 'out', deadlineMs);
      lost.push(
        ...some
          .filter(({ transfer_id }) => !standing.has(transfer_id))
          // Units that it still has, though they went away, are too many.
          .map(({ sku_id, transfer_id, amount }): Lost => ({ kind: 'transfer', toldBy, sku_id, order_id: null, order_detail_id: null, id: transfer_id, quantity: direction === 'out' ? amount : -amount, redo: null })),
      );
    }
  }
  return lost;
}

async function lostLayouts({ routing, shards }: SiblingParts, of: ShardIndex, { layouts }: Traces, toldBy: string, deadlineMs: DeadlineMs): Promise<Lost[]> {
  const here = layouts.filter(({ sku_id }) => routing.map.shardOf(sku_id) === of);
  const lost: Lost[] = [];
  for (const some of piecesOf(here, AT_A_TIME)) {
    const last = await shards.readLayouts(of, some.map(({ sku_id }) => sku_id), deadlineMs);
    lost.push(
      ...some
        .filter(({ sku_id, epoch }) => epoch > (last.get(sku_id) ?? 0))
        .map(({ sku_id, epoch }): Lost => ({ kind: 'layout', toldBy, sku_id, order_id: null, order_detail_id: null, id: String(epoch), quantity: null, redo: null })),
    );
  }
  return lost;
}

/** The same may be told of by several: shards, the shop's books, the state before. */
export function onceEach(lost: readonly Lost[]): Lost[] {
  return [...new Map(lost.map((one) => [lostKey(one), one])).values()];
}

function lostKey({ kind, sku_id, order_id, order_detail_id, id }: Lost): string {
  // A flow is one by its SKU and its order detail, whoever tells of it.
  return kind === 'flow' ? [kind, sku_id, order_detail_id].join('\0') : [kind, sku_id, order_id, order_detail_id, id].join('\0');
}

/** How a shard stands, in words. */
export function inWords({ shows, had }: Standing): string {
  return `it shows what was true at ${momentOf(shows)}, and had reached ${momentOf(had)}`;
}

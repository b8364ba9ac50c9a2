import { flowKeyText } from '../core/nouns.ts';
import type { CartKey, CartLine, DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { Auditor } from '../core/ports.ts';
import { cartDifference, judgeCart } from '../core/reconciliation.ts';
import type {
  CartPage,
  CartPosition,
  DecidedCart,
  OverdueHold,
  ShelfDifference,
  SoldFlow,
} from '../core/reconciliation.ts';
import { batchesOf, cartText, piecesOf } from './cartBatches.ts';
import { byShard } from './hot/placing.ts';
import type { Routing } from './routing.ts';
import type { Unread } from './unread.ts';

/** Records in one page. Two pages are in memory at once for each shard that is followed, however many carts there are. */
const CARTS_AT_A_TIME = 150;
/** Ids in one statement. MariaDB makes no ranges of a list with a thousand values, and each id has two. */
const KEYS_AT_A_TIME = 400;
/** Bare records in one statement, which looks at all flows: the fewer of those the better. */
const BARE_AT_A_TIME = 2_000;

export interface CartParts {
  readonly routing: Routing;
  readonly auditor: Auditor;
  /** Where the shards are noted that could not be read; what lies on them is not judged. */
  readonly unread: Unread;
}

/**
 * Holds all records of decided carts on a shard against the flows of all shards. Records are read first, so what they say
 * was true already when the flows are read.
 *
 * @param only one SKU, or null: all
 */
export async function followCarts(
  parts: CartParts,
  shard: ShardIndex,
  only: string | null,
  deadlineMs: DeadlineMs,
): Promise<ShelfDifference[]> {
  const found: ShelfDifference[] = [];
  let bare: CartKey[] = [];
  for await (const page of pagesOf(parts, shard, only, deadlineMs)) {
    found.push(
      ...(await judgeCarts(
        parts,
        page.map((cart) => onlyOf(cart, only)),
        deadlineMs,
      )),
    );
    for (const { state, lines, order_id, attempt } of page)
      if (state === 'aborted' && lines.length === 0) bare.push({ order_id, attempt });
    if (bare.length < BARE_AT_A_TIME) continue;
    found.push(...(await judgeBareCarts(parts, bare, only, deadlineMs)));
    bare = [];
  }
  return [...found, ...(await judgeBareCarts(parts, bare, only, deadlineMs))];
}

/** Looks once more at the carts that some differences are about. */
export async function followAgain(
  parts: CartParts,
  differences: readonly ShelfDifference[],
  deadlineMs: DeadlineMs,
): Promise<ShelfDifference[]> {
  const carts = new Map<string, DecidedCart & { readonly lines: CartLine[] }>();
  for (const {
    cart,
    kind,
    shard,
    sku_id,
    expected,
    actual,
    order_detail_ids: [order_detail_id],
  } of differences) {
    if (cart === null || order_detail_id === undefined || kind === 'hold_left') continue;
    const line = { sku_id, order_detail_id, shard, quantity: Number(kind === 'cart_line' ? expected : actual) };
    const known = carts.get(cartText(cart));
    if (known === undefined)
      carts.set(cartText(cart), { ...cart, state: kind === 'cart_line' ? 'committed' : 'aborted', lines: [line] });
    else known.lines.push(line);
  }
  const found: ShelfDifference[] = [];
  for (const [shard, ofShard] of byOwner(parts, [...carts.values()])) {
    for (const some of piecesOf(ofShard, KEYS_AT_A_TIME)) {
      const read = await parts.unread.read(shard, () => parts.auditor.readVerdicts(shard, some, deadlineMs));
      const records = new Map((read ?? []).map((record) => [cartText(record), record.state]));
      // Judged by the record as it is now; one that is gone is nobody's sale.
      found.push(
        ...(await judgeCarts(
          parts,
          some.flatMap((cart) => stateOf(cart, records.get(cartText(cart)))),
          deadlineMs,
        )),
      );
    }
  }
  return found;
}

/** Those of a shard's old holds whose carts were decided long ago, or have no record. */
export async function followHolds(
  parts: CartParts,
  shard: ShardIndex,
  holds: readonly OverdueHold[],
  deadlineMs: DeadlineMs,
): Promise<ShelfDifference[]> {
  const found: ShelfDifference[] = [];
  // One that holds nothing is told of by its row already.
  for (const [owner, ofOwner] of byOwner(
    parts,
    holds.filter(({ quantity }) => quantity > 0),
  )) {
    for (const some of piecesOf(ofOwner, KEYS_AT_A_TIME)) {
      const read = await parts.unread.read(owner, () => parts.auditor.findFreshCarts(owner, some, deadlineMs));
      if (read === null) continue;
      const fresh = new Set(read.map(cartText));
      const left = some.filter((hold) => !fresh.has(cartText(hold)));
      found.push(
        ...left.map((hold) => cartDifference('hold_left', hold, shard, { expected: 0, actual: hold.quantity })),
      );
    }
  }
  return found;
}

/** The records of a shard a page at a time; the next is on its way while one is judged. Ends early where the shard cannot be read. */
async function* pagesOf(
  { auditor, unread }: CartParts,
  shard: ShardIndex,
  naming: string | null,
  deadlineMs: DeadlineMs,
): AsyncGenerator<readonly DecidedCart[]> {
  const read = (after: CartPosition | null): Promise<CartPage | null> =>
    unread.insist(shard, () => auditor.readDecidedCarts(shard, { after, max: CARTS_AT_A_TIME, naming }, deadlineMs));
  for (let coming: ReturnType<typeof read> | null = read(null); coming !== null;) {
    const page: CartPage | null = await coming;
    coming = page === null || page.next === null ? null : read(page.next);
    // The lines of such a cart are not judged; those of the others are.
    for (const record of page?.unreadable ?? []) unread.note(shard, record);
    yield page?.carts ?? [];
  }
}

async function judgeCarts(
  parts: CartParts,
  carts: readonly DecidedCart[],
  deadlineMs: DeadlineMs,
): Promise<ShelfDifference[]> {
  const found: ShelfDifference[] = [];
  for (const some of batchesOf(carts)) {
    const flows = await readFlows(
      parts,
      some.flatMap(({ lines }) => lines),
      deadlineMs,
    );
    for (const cart of some) found.push(...judgeCart(cart, flows, (sku_id) => parts.routing.map.shardOf(sku_id)));
  }
  return found;
}

/** Records without lines were written by who found none; what such a cart sold can only be found among the flows. */
async function judgeBareCarts(
  { routing, auditor, unread }: CartParts,
  bare: readonly CartKey[],
  only: string | null,
  deadlineMs: DeadlineMs,
): Promise<ShelfDifference[]> {
  if (bare.length === 0) return [];
  const shards = [...routing.map.slotCounts().keys()];
  const found: ShelfDifference[] = [];
  for (const shard of shards) {
    const flows = await unread.read(shard, () =>
      auditor.findFlowsOfCarts(shard, bare, only === null ? null : [only], deadlineMs),
    );
    found.push(
      ...(flows ?? []).map((flow) =>
        cartDifference('aborted_line', flow, shard, { expected: 0, actual: flow.quantity }),
      ),
    );
  }
  return found;
}

/** @returns the flow of every line that was looked for, null where none stands; lines on shards that cannot be read are missing */
async function readFlows(
  { routing, auditor, unread }: CartParts,
  lines: readonly CartLine[],
  deadlineMs: DeadlineMs,
): Promise<Map<string, SoldFlow | null>> {
  const looked = new Map<string, SoldFlow | null>();
  const placed = lines.map((line) => ({ ...line, shard: line.shard ?? routing.map.shardOf(line.sku_id) }));
  const ofShards = [...byShard(placed)].map(async ([shard, ofShard]) => {
    // One after the other: a shard has few connections for all who read it, and few places to wait.
    for (const some of piecesOf(ofShard, KEYS_AT_A_TIME)) {
      const flows = await unread.read(shard, () => auditor.readFlows(shard, some, deadlineMs));
      if (flows === null) return;
      for (const key of some) looked.set(flowKeyText(key), null);
      for (const flow of flows) looked.set(flowKeyText(flow), flow);
    }
  });
  await Promise.all(ofShards);
  return looked;
}

function onlyOf(cart: DecidedCart, only: string | null): DecidedCart {
  return only === null ? cart : { ...cart, lines: cart.lines.filter(({ sku_id }) => sku_id === only) };
}

function stateOf(cart: DecidedCart, state: DecidedCart['state'] | undefined): DecidedCart[] {
  return state === undefined ? [] : [{ ...cart, state }];
}

/** Carts by the shard of their records. */
function byOwner<C extends CartKey>({ routing }: CartParts, carts: readonly C[]): Map<ShardIndex, C[]> {
  const groups = new Map<ShardIndex, C[]>();
  for (const cart of carts) {
    const shard = routing.map.shardOf(cart.order_id);
    const group = groups.get(shard);
    if (group === undefined) groups.set(shard, [cart]);
    else group.push(cart);
  }
  return groups;
}

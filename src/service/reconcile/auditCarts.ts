import { chunksOf } from '../../core/async/chunksOf.ts';
import { flowKeyText } from '../../core/types.ts';
import type { CartKey, CartLine, DeadlineMs, ShardIndex } from '../../core/types.ts';
import { cartDifference, compareCart } from '../../core/books/reconciliation.ts';
import type {
  CartPage,
  CartPosition,
  DecidedCart,
  StockDifference,
  SoldFlow,
} from '../../core/books/reconciliation.ts';
import { batchesOf, cartText } from '../carts/cartBatches.ts';
import { byRecordShard } from '../carts/recordShard.ts';
import { byShard } from '../routing/lineRouter.ts';
import { KEYS_AT_A_TIME } from './cartAuditPorts.ts';
import type { CartAuditPorts } from './cartAuditPorts.ts';

/** Records in one page. Per shard, two pages are in memory at once, for any number of carts. */
const CARTS_AT_A_TIME = 150;
/** Bare records in one statement. The statement reads all flows, so few statements with many records are best. */
const BARE_AT_A_TIME = 2_000;

/**
 * Compares all records of decided carts on a shard, of both kinds, with the flows of all shards. It reads the records
 * first, so each decision was final before the flows are read. Sales of aborted transactions are found by `auditSales`,
 * because their records are deleted.
 *
 * @param only one SKU, or null: all
 */
export async function auditCarts(
  ports: CartAuditPorts,
  shard: ShardIndex,
  only: string | null,
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
  const found: StockDifference[] = [];
  let bare: CartKey[] = [];
  const pages = [
    pagesOf<CartPosition>(ports, shard, (after) =>
      ports.auditor.readDecidedCarts(shard, { after, max: CARTS_AT_A_TIME, naming: only }, deadlineMs),
    ),
    pagesOf<string>(ports, shard, (after) =>
      ports.auditor.readOrderRecords(shard, { after, max: CARTS_AT_A_TIME, naming: only }, deadlineMs),
    ),
  ];
  for await (const page of inTurn(pages)) {
    found.push(
      ...(await judgeCarts(
        ports,
        page.map((cart) => onlyOf(cart, only)),
        deadlineMs,
      )),
    );
    for (const { state, lines, order_id, attempt } of page)
      if (state === 'aborted' && lines.length === 0) bare.push({ order_id, attempt });
    if (bare.length < BARE_AT_A_TIME) continue;
    found.push(...(await judgeBareCarts(ports, bare, only, deadlineMs)));
    bare = [];
  }
  return [...found, ...(await judgeBareCarts(ports, bare, only, deadlineMs))];
}

/**
 * Compares one page of the order records of a shard with the flows of all shards.
 *
 * @param after the last transaction of the page before, in hexadecimal digits; null: the first page
 * @returns the number of records, the differences, and the last transaction. Null on the last page in place of the
 *   transaction. Null: the shard could not be read.
 */
export async function auditRecordPage(
  ports: CartAuditPorts,
  shard: ShardIndex,
  after: string | null,
  deadlineMs: DeadlineMs,
): Promise<{ readonly count: number; readonly differences: StockDifference[]; readonly next: string | null } | null> {
  const { auditor, readFailures } = ports;
  const query = { after, max: CARTS_AT_A_TIME, naming: null };
  const page = await readFailures.tryRead(shard, () => auditor.readOrderRecords(shard, query, deadlineMs));
  if (page === null) return null;
  for (const record of page.unreadable) readFailures.addRow(shard, record);
  const { carts, next } = page;
  return { count: carts.length, differences: await judgeCarts(ports, carts, deadlineMs), next };
}

/** Reads the carts of some differences again, and judges them again. */
export async function auditCartsAgain(
  ports: CartAuditPorts,
  differences: readonly StockDifference[],
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
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
  const found: StockDifference[] = [];
  for (const [shard, ofShard] of byRecordShard(ports.routing, [...carts.values()])) {
    for (const some of chunksOf(ofShard, KEYS_AT_A_TIME)) {
      const read = await ports.readFailures.readUnlessFailed(shard, () =>
        ports.auditor.readDecisions(shard, some, deadlineMs),
      );
      if (read === null) continue;
      const records = new Map(read.map((record) => [cartText(record), record.state]));
      // Judged by the present state of the record.
      found.push(
        ...(await judgeCarts(
          ports,
          some.flatMap((cart) => stateOf(cart, records.get(cartText(cart)))),
          deadlineMs,
        )),
      );
    }
  }
  return found;
}

/**
 * Reads the records of a shard page by page; the next page is read while one is judged. It ends early when the shard
 * cannot be read.
 */
async function* pagesOf<Position>(
  { readFailures }: CartAuditPorts,
  shard: ShardIndex,
  readPage: (after: Position | null) => Promise<CartPage<Position>>,
): AsyncGenerator<readonly DecidedCart[]> {
  const read = (after: Position | null): Promise<CartPage<Position> | null> =>
    readFailures.tryRead(shard, () => readPage(after));
  for (let nextPage: ReturnType<typeof read> | null = read(null); nextPage !== null;) {
    const page: CartPage<Position> | null = await nextPage;
    nextPage = page === null || page.next === null ? null : read(page.next);
    // The lines of an unreadable record are not judged; the other records of the page are.
    for (const record of page?.unreadable ?? []) readFailures.addRow(shard, record);
    yield page?.carts ?? [];
  }
}

/** Both kinds of carts, one after the other: each kind has a table of its own. */
async function* inTurn<T>(all: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  for (const each of all) yield* each;
}

async function judgeCarts(
  ports: CartAuditPorts,
  carts: readonly DecidedCart[],
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
  const found: StockDifference[] = [];
  for (const some of batchesOf(carts)) {
    const flows = await readFlows(
      ports,
      some.flatMap(({ lines }) => lines),
      deadlineMs,
    );
    for (const cart of some) found.push(...compareCart(cart, flows, (sku_id) => ports.routing.map.shardOf(sku_id)));
  }
  return found;
}

/**
 * Judges records without lines. A gateway writes one when it finds no record of a cart, so the sales of such a cart can
 * only be found in the flows.
 */
async function judgeBareCarts(
  { routing, auditor, readFailures }: CartAuditPorts,
  bare: readonly CartKey[],
  only: string | null,
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
  if (bare.length === 0) return [];
  const shards = [...routing.map.slotCounts().keys()];
  const found: StockDifference[] = [];
  for (const shard of shards) {
    const flows = await readFailures.readUnlessFailed(shard, () =>
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

/** @returns the flow of every line that was read, null where there is none; lines on unreadable shards are missing */
async function readFlows(
  { routing, auditor, readFailures }: CartAuditPorts,
  lines: readonly CartLine[],
  deadlineMs: DeadlineMs,
): Promise<Map<string, SoldFlow | null>> {
  const flowsByKey = new Map<string, SoldFlow | null>();
  const routed = lines.map((line) => ({ ...line, shard: line.shard ?? routing.map.shardOf(line.sku_id) }));
  const ofShards = [...byShard(routed)].map(async ([shard, ofShard]) => {
    // One statement after the other: all readers share the few connections of a shard and its short admission queue.
    for (const some of chunksOf(ofShard, KEYS_AT_A_TIME)) {
      const flows = await readFailures.readUnlessFailed(shard, () => auditor.readFlows(shard, some, deadlineMs));
      if (flows === null) return;
      for (const key of some) flowsByKey.set(flowKeyText(key), null);
      for (const flow of flows) flowsByKey.set(flowKeyText(flow), flow);
    }
  });
  await Promise.all(ofShards);
  return flowsByKey;
}

function onlyOf(cart: DecidedCart, only: string | null): DecidedCart {
  return only === null ? cart : { ...cart, lines: cart.lines.filter(({ sku_id }) => sku_id === only) };
}

/** A transaction without a record counts as aborted. A cart with attempts and without a record sold nothing. */
function stateOf(cart: DecidedCart, state: DecidedCart['state'] | undefined): DecidedCart[] {
  if (state !== undefined) return [{ ...cart, state }];
  return cart.transaction === undefined ? [] : [{ ...cart, state: 'aborted' }];
}

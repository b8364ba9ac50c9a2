import { expect } from 'chai';
import type { RowDataPacket } from 'mysql2/promise';
import type { Line, OrderTransaction, ShardIndex } from '../../../src/core/types.ts';
import { flowKeyText } from '../../../src/core/types.ts';
import { cancelOrder } from '../../../src/service/orders/cancelOrder.ts';
import { deductOrder } from '../../../src/service/orders/deductOrder.ts';
import { openShards } from '../engines/engines.ts';
import { skuOn } from '../engines/traffic.ts';
import { fresh } from '../gateway/gateway.ts';
import { addressOf, sideSession } from '../rows/sideSession.ts';
import { eventually } from '../run/eventually.ts';
import { stack } from '../run/setup.ts';
import { digitsOf } from '../wire/packets.ts';
import { startWireProxy } from '../wire/wireProxy.ts';
import type { Cut, WireProxy } from '../wire/wireProxy.ts';
import { openCartBench } from './cartBench.ts';
import type { CartBench } from './cartBench.ts';
import { cartRows, endsOf, linesOf, nothingHeld } from './cartRows.ts';

/** A shard of the first server, and two of the second. The second has more lines, so it coordinates. */
const PARTICIPANT = 3;
const COORDINATOR = 9;
const OVER_SERVERS = [PARTICIPANT, COORDINATOR, 11];
const ON_ONE_SERVER = [COORDINATOR, 11, 13];
const SHARDS = [PARTICIPANT, ...ON_ONE_SERVER];
const OPENED = 3;
const REQUEST_MS = 10_000;
const STATEMENT_MS = 300;
const FREE_MS = 20_000;
const CONNECT_MS = 30_000;
/** A transaction of this age that has no record is aborted by other gateways. */
const ABANDONED_MS = 10_000;
/** On a machine that is too busy, a request may be rejected before it reaches the COMMIT. */
const TRIES = 20;

/** Whether the server has committed when the wire is cut. */
const COMMITTED: Readonly<Record<Cut, boolean>> = {
  before: false,
  inside: false,
  after: true,
  'half-reply': true,
  silent: true,
};

interface Order {
  readonly order_id: string;
  readonly sku_ids: readonly string[];
}

/** A COMMIT of a request over several shards, which is cut. */
export interface Phase {
  readonly name: string;
  /** The shards of the lines. */
  readonly shards: readonly ShardIndex[];
  /** A shard of the server whose COMMIT is cut. */
  readonly at: ShardIndex;
  /** The number of the COMMIT among those that name the order, or among those that name none. */
  readonly number: number;
  /** True for a statement COMMIT, which names no order. */
  readonly isPlain?: true;
  /** The units of the last line, if not one. */
  readonly lastQuantity?: number;
  prepare?(by: CartBench, order: Order): Promise<unknown>;
  send(by: CartBench, order: Order, lines: readonly Line[]): Promise<string>;
  /** The outcome if the server committed, and if it did not. */
  readonly outcomes: { readonly committed: string; readonly undone: string };
  /** The end of each line by the outcome. */
  readonly ends: Readonly<Record<string, readonly string[]>>;
}

const sell: Phase['send'] = async ({ parts }, { order_id }, lines) =>
  (await deductOrder(parts, { order_id, lines }, performance.now() + REQUEST_MS)).outcome.is;
const cancel: Phase['send'] = async ({ parts }, { order_id }, lines) =>
  (await cancelOrder(parts, { order_id, lines }, performance.now() + REQUEST_MS)).is;
const sold = async (by: CartBench, order: Order): Promise<void> => {
  expect(await sell(by, order, linesOf(order.sku_ids, order.order_id)), 'the sale before').to.equal('deducted');
  await nothingHeld(order.sku_ids, FREE_MS);
};
/** A gateway held the line of the participant, and died. */
const abandoned = async ({ parts: { engine } }: CartBench, { order_id, sku_ids }: Order): Promise<void> => {
  const lines = linesOf(sku_ids.slice(0, 1), order_id);
  const hold = { kind: 'hold', order_id, attempt: 0, transaction: abandonedTransaction(), lines } as const;
  const [outcome] = await engine.apply(PARTICIPANT, [hold], performance.now() + REQUEST_MS);
  expect(outcome?.is, 'the abandoned hold').to.equal('held');
};

function abandonedTransaction(): OrderTransaction {
  const began = (Date.now() - ABANDONED_MS).toString(16).padStart(12, '0');
  const rest = Array.from({ length: 20 }, () => Math.floor(Math.random() * 16).toString(16)).join('');
  return { transaction_id: began + rest, coordinator: COORDINATOR };
}

const ALL = ['deducted', 'deducted', 'deducted'];
const NONE = ['none', 'none', 'none'];
const SOLD_OR_NOT = { deducted: ALL, not_done: NONE };
const ALWAYS_SOLD = { committed: 'deducted', undone: 'deducted' };
const CANCELLED = ['cancelled', 'cancelled', 'cancelled'];

/** Every COMMIT of an order and of a cancellation over several shards. */
export const PHASES: readonly Phase[] = [
  {
    ...{ name: 'prepare', shards: OVER_SERVERS, at: PARTICIPANT, number: 1, send: sell },
    outcomes: { committed: 'deducted', undone: 'not_done' },
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'decide', shards: OVER_SERVERS, at: COORDINATOR, number: 1, send: sell },
    outcomes: { committed: 'deducted', undone: 'not_done' },
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'complete', shards: OVER_SERVERS, at: PARTICIPANT, number: 2, send: sell },
    outcomes: ALWAYS_SOLD,
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'undo', shards: OVER_SERVERS, at: PARTICIPANT, number: 2, send: sell, lastQuantity: OPENED + 1 },
    outcomes: { committed: 'refused', undone: 'refused' },
    ends: { refused: NONE, not_done: NONE },
  },
  {
    ...{ name: 'abort record', shards: OVER_SERVERS, at: COORDINATOR, number: 1, isPlain: true, send: sell },
    prepare: abandoned,
    outcomes: ALWAYS_SOLD,
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'undo of an abandoned hold', shards: OVER_SERVERS, at: PARTICIPANT, number: 1, send: sell },
    prepare: abandoned,
    outcomes: ALWAYS_SOLD,
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'order on one server', shards: ON_ONE_SERVER, at: COORDINATOR, number: 1, send: sell },
    outcomes: { committed: 'deducted', undone: 'not_done' },
    ends: SOLD_OR_NOT,
  },
  {
    ...{ name: 'cancellation on one server', shards: ON_ONE_SERVER, at: COORDINATOR, number: 1, send: cancel },
    prepare: sold,
    outcomes: { committed: 'applied', undone: 'not_done' },
    ends: { applied: CANCELLED, not_done: ALL },
  },
  {
    // Each server commits its part by itself, so a part of the lines may be cancelled.
    ...{ name: 'cancellation on several servers', shards: OVER_SERVERS, at: PARTICIPANT, number: 1, send: cancel },
    prepare: sold,
    outcomes: { committed: 'applied', undone: 'unknown' },
    ends: { applied: CANCELLED, unknown: ['deducted', 'cancelled', 'cancelled'], not_done: ALL },
  },
];

/** A gateway without listeners that reaches both servers through proxies, and one that reaches them directly. */
export interface CutLane {
  cut(phase: Phase, cut: Cut): Promise<void>;
  close(): Promise<void>;
}

/** Opens a lane, which cuts one COMMIT after the other. */
export async function openCutLane(): Promise<CutLane> {
  const uncut = openCartBench(undefined, 'batching');
  const proxies = new Map<number, WireProxy>();
  const addresses = stack().shards.map(({ address }) => address);
  for (const address of addresses)
    if (!proxies.has(address.port)) proxies.set(address.port, await startWireProxy(address));
  const proxyOf = (shard: ShardIndex): WireProxy => {
    const proxy = proxies.get(addressOf(shard).port);
    if (proxy === undefined) throw new Error(`shard ${shard} has no proxy`);
    return proxy;
  };
  const shards = stack().shards.map((shard, index) => ({
    ...shard,
    address: { ...shard.address, port: proxyOf(index).port },
  }));
  const cutShards = openShards({ ...stack(), shards }, STATEMENT_MS);
  const cutOff = openCartBench(cutShards, 'batching');
  // On a busy machine a connection takes longer than a statement may, and is tried again at the next read.
  for (const bench of [uncut, cutOff])
    await eventually('orders over several servers are transactions', CONNECT_MS, async () => {
      const deadlineMs = performance.now() + REQUEST_MS;
      await Promise.all(SHARDS.map((shard) => bench.parts.reader.readStock(shard, 'none', deadlineMs)));
      return bench.parts.records.areUsable(SHARDS);
    });

  const cut = async (phase: Phase, where: Cut): Promise<void> => {
    for (let tries = 1; ; tries += 1) {
      const order = await openOrder(uncut, phase);
      const lines = linesOf(order.sku_ids, order.order_id).map((line, place, all) =>
        place === all.length - 1 ? { ...line, quantity: phase.lastQuantity ?? 1 } : line,
      );
      await phase.prepare?.(uncut, order);
      const { outcome, isCut } = await interrupt(phase, cutOff, proxyOf(phase.at), where, order, lines);
      const context = `${phase.name}, cut ${where} COMMIT: answered ${outcome}`;
      await expectEnd(phase, outcome, order, lines, context);
      if (!isCut) {
        expect(tries, `${context}, without that COMMIT`).to.be.below(TRIES);
        continue;
      }
      expect(outcome, context).to.equal(phase.outcomes[COMMITTED[where] ? 'committed' : 'undone']);
      const { committed } = phase.outcomes;
      expect(await phase.send(cutOff, order, lines), `${context}; the same again`).to.equal(committed);
      await nothingHeld(order.sku_ids, FREE_MS);
      await expectEnd(phase, committed, order, lines, `${context}; the same again`);
      return;
    }
  };
  return {
    cut,
    async close() {
      for (const bench of [uncut, cutOff]) {
        await bench.parts.backgroundTasks.finish(REQUEST_MS);
        bench.close();
      }
      for (const proxy of proxies.values()) await proxy.close();
    },
  };
}

async function openOrder(bench: CartBench, { shards }: Phase): Promise<Order> {
  const name = fresh('cut');
  const sku_ids = shards.map((shard) => skuOn(shard, name));
  for (const sku_id of sku_ids) await bench.open(sku_id, OPENED);
  return { order_id: `order-${name}`, sku_ids };
}

/** Sends a request and cuts one of its COMMITs. @returns its outcome, and whether it reached that COMMIT */
async function interrupt(
  { number, isPlain, send }: Phase,
  cutOff: CartBench,
  proxy: WireProxy,
  where: Cut,
  order: Order,
  lines: readonly Line[],
): Promise<{ outcome: string; isCut: boolean }> {
  const marker = digitsOf(order.order_id);
  let seen = 0;
  let isCut = false;
  const stop = proxy.cutWhenever(where, (statements) => {
    const isOne = isPlain === true ? statements === 'COMMIT' : statements.toLowerCase().includes(marker);
    if (!isOne || (seen += 1) !== number) return false;
    isCut = true;
    return true;
  });
  try {
    const outcome = await send(cutOff, order, lines);
    // The holds are completed or undone after the answer.
    await nothingHeld(order.sku_ids, FREE_MS);
    return { outcome, isCut };
  } finally {
    stop();
  }
}

/** Expects that the rows agree with the outcome, and that the records agree with the flows. */
async function expectEnd(
  { ends }: Phase,
  outcome: string,
  { order_id, sku_ids }: Order,
  lines: readonly Line[],
  context: string,
): Promise<void> {
  const rows = await cartRows(sku_ids);
  const found = endsOf(rows, lines);
  expect(found, context).to.deep.equal(ends[outcome]);
  const left = found.map((end) => ({ leaved: end === 'deducted' ? OPENED - 1 : OPENED, held: 0 }));
  expect(
    sku_ids.map((sku_id) => rows.stock.get(sku_id)),
    context,
  ).to.deep.equal(left);
  const records = await recordsOf(order_id);
  const committed = records.filter(({ state }) => state === 'committed');
  expect(committed, `${context}; committed records`).to.have.length(found.includes('none') ? 0 : 1);
  for (const { state, isListed } of records) expect(isListed, `${context}; ${state}`).to.equal(state === 'aborted');
  const undone = lines.filter((line, place) => found[place] === 'none' && rows.flows.has(flowKeyText(line)));
  expect(undone, `${context}; an undone hold leaves no row`).to.deep.equal([]);
}

/** The records of an order on its coordinator. */
async function recordsOf(order_id: string): Promise<{ readonly state: string; readonly isListed: boolean }[]> {
  const session = await sideSession(COORDINATOR);
  try {
    await session.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    const [rows] = await session.query<RowDataPacket[]>(
      `SELECT state, EXISTS (SELECT 1 FROM aborted_record a WHERE a.transaction_id = r.transaction_id) AS is_listed
         FROM order_record r WHERE order_id = ?`,
      [Buffer.from(order_id)],
    );
    return rows.map(({ state, is_listed }) => ({ state: String(state), isListed: is_listed === 1 }));
  } finally {
    session.destroy();
  }
}

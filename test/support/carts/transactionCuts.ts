import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { RowDataPacket } from 'mysql2/promise';
import type { Line, ShardIndex } from '../../../src/core/types.ts';
import { flowKeyText } from '../../../src/core/types.ts';
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
import { cartRows, endsOf, linesOf } from './cartRows.ts';
import { COORDINATOR, OPENED, REQUEST_MS, SHARDS, untilFree } from './transactionPhases.ts';
import type { Ended, Order, Phase } from './transactionPhases.ts';

const STATEMENT_MS = 300;
const CONNECT_MS = 30_000;
/** A gateway completes the holds of an order for this long after its answer. */
const COMPLETION_MS = 4_000;
/** On a machine that is too busy, a request may be rejected before it reaches the COMMIT, or after the cut. */
const TRIES = 20;
/** A rejected request is sent again after this time, because an open breaker rejects at once. */
const PAUSE_MS = 200;
/** How often a request is sent again while it is rejected. */
const AGAIN_MAX = 5;

/** Whether the server has committed when the wire is cut. */
const COMMITTED: Readonly<Record<Cut, boolean>> = {
  before: false,
  inside: false,
  after: true,
  'half-reply': true,
  silent: true,
};

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
      const { ended, isCut } = await interrupt(phase, cutOff, proxyOf(phase.at), where, order, lines);
      await untilFree(uncut, order);
      const context = `${phase.name}, cut ${where} COMMIT: answered ${textOf(ended)}`;
      await expectEnd(phase, ended.is, order, lines, context);
      const expected = phase.outcomes[COMMITTED[where] ? 'committed' : 'undone'];
      // A read after the cut may take too long on a busy machine, and the rows agree with the rejection.
      if (!isCut || (ended.is === 'not_done' && expected !== 'not_done')) {
        expect(tries, `${context}, cut: ${isCut}`).to.be.below(TRIES);
        await sleep(PAUSE_MS);
        continue;
      }
      expect(ended.is, context).to.equal(expected);
      const { committed } = phase.outcomes;
      let again = await phase.send(cutOff, order, lines);
      for (let sent = 1; again.is === 'not_done' && sent < AGAIN_MAX; sent += 1) {
        await sleep(PAUSE_MS);
        again = await phase.send(cutOff, order, lines);
      }
      expect(again.is, `${context}; the same again: ${textOf(again)}`).to.equal(committed);
      await untilFree(uncut, order);
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
): Promise<{ ended: Ended; isCut: boolean }> {
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
    const ended = await send(cutOff, order, lines);
    // Holds are completed or undone after the answer, and the cut may be there.
    await cutOff.parts.backgroundTasks.finish(COMPLETION_MS);
    return { ended, isCut };
  } finally {
    stop();
  }
}

function textOf({ is, reason }: Ended): string {
  return reason === undefined ? is : `${is} (${reason})`;
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

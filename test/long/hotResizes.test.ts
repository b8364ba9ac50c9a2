import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { startGatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import type { Answer, HttpClient } from '../../scripts/support/httpClient.ts';
import { inParallel } from '../../scripts/support/inParallel.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { hotRowsOf, layoutOf, rowsBalance, unitsToMove } from '../support/hot/hotRows.ts';
import { stack } from '../support/run/setup.ts';

const TOGGLES = 300;
const FREEZES = 30;
const FROZEN_MS = 10_000;
const THAWED_MS = 1_000;
const LAYOUTS = [4, 16, 3, 1] as const;
const CLIENTS = 16;
const SENT_MIN = 3;
const UNITS = 10_000_000;
/** Not done, or unknown: no gateway could execute it, or a frozen gateway read it only when it continued. */
const UNDONE = [503, 408];
const TIMEOUT_MS = 1_200_000;

interface Order {
  readonly id: string;
  readonly quantity: number;
  sent: number;
  sold: boolean;
}

/** The test of the waiting times freezes no gateway. */
const PAUSE_TOGGLES = 60;
const PAUSE_MS = 200;
/** Few enough for the machine to have spare time: waiting times on a full machine are another question. */
const PAUSE_CLIENTS = 4;

describe('a SKU that is resized again and again while it sells', () => {
  let gateways: GatewayProcess[];
  let client: HttpClient;
  const sku_id = fresh('toggled');
  const orders: Order[] = [];
  const faults: string[] = [];
  /** The gateway that is frozen at times; while it is frozen, nothing new is sent to it. */
  const UNLUCKY = 2;
  let isFrozen = false;
  let freezes = 0;

  before(async () => {
    gateways = await Promise.all(
      [0, 1, 2].map(() =>
        startGatewayProcess({ ...stack().environment, PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'error' }),
      ),
    );
    client = httpClient(4 * CLIENTS);
    expect(
      (await client.call({ method: 'PUT', url: `${adminOf(0)}/v1/skus/${sku_id}`, body: { leaved_amount: UNITS } }))
        .status,
    ).to.equal(201);
  });

  after(async () => {
    gateways[UNLUCKY]?.signal('SIGCONT');
    client.close();
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  });

  const adminOf = (gateway: number): string => gateways[gateway]?.adminUrl ?? '';
  const anyGateway = (): number => Math.floor(Math.random() * (isFrozen ? UNLUCKY : UNLUCKY + 1));
  const resize = (gateway: number, sub_rows: number): Promise<Answer> => {
    const url = `${adminOf(gateway)}/v1/skus/${sku_id}/hot`;
    return client.call(sub_rows === 1 ? { method: 'DELETE', url } : { method: 'PUT', url, body: { sub_rows } });
  };

  /** @returns the time in milliseconds; 0 if a gateway was frozen meanwhile */
  const send = async (order: Order): Promise<number> => {
    const [begunMs, freezesBefore] = [performance.now(), isFrozen ? -1 : freezes];
    const body = { order_id: order.id, lines: [{ order_detail_id: order.id, sku_id, quantity: order.quantity }] };
    // A request that was at a gateway when it was frozen may get no answer.
    const answer = await client
      .call({ method: 'POST', url: `${gateways[anyGateway()]?.publicUrl}/v1/deductions`, body })
      .catch(() => null);
    order.sent += 1;
    if (answer?.status === 200 || answer?.status === 201) order.sold = true;
    else if (answer !== null && !UNDONE.includes(answer.status))
      faults.push(`${order.id}: ${answer.status} ${answer.text}`);
    return freezes === freezesBefore ? performance.now() - begunMs : 0;
  };

  /** Buys until `isOver`. @returns the time of each answer in milliseconds, in no order */
  const buyUntil = async (isOver: () => boolean, clients = CLIENTS): Promise<number[]> => {
    const taken: number[] = [];
    const buyers = Array.from({ length: clients }, async (_, buyer) => {
      for (let number = 0; !isOver(); number += 1) {
        const old = orders[Math.floor(Math.random() * orders.length)];
        const order =
          old !== undefined && number % 3 > 0
            ? old
            : { id: `o${orders.length}-${buyer}`, quantity: 1 + (number % 5), sent: 0, sold: false };
        if (order !== old) orders.push(order);
        taken.push(await send(order));
        await sleep(2);
      }
    });
    await Promise.all(buyers);
    return taken;
  };
  const describeTaken = (taken: number[]): string => {
    const sorted = taken.sort((a, b) => a - b);
    const at = (share: number): string =>
      `${Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)} ms`;
    const above = sorted.filter((ms) => ms > PAUSE_MS).length;
    return `p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}, ${above} of ${sorted.length} above ${PAUSE_MS} ms`;
  };

  it(`prints how long its orders take: during ${PAUSE_TOGGLES} layouts, and for as long without any`, async () => {
    const arms: Record<string, number[]> = { resized: [], unchanged: [] };
    for (const arm of ['unchanged', 'resized', 'unchanged', 'resized']) {
      let isOver = false;
      const bought = buyUntil(() => isOver, PAUSE_CLIENTS);
      for (let toggle = 0; toggle < PAUSE_TOGGLES / 2; toggle += 1) {
        if (arm === 'resized')
          expect((await resize(toggle % 2, LAYOUTS[toggle % LAYOUTS.length] ?? 1)).status).to.equal(200);
        await sleep(1_000);
      }
      isOver = true;
      arms[arm]?.push(...(await bought));
    }
    for (const [arm, taken] of Object.entries(arms)) console.log(`      ${arm}: ${describeTaken(taken)}`);
    expect(faults).to.deep.equal([]);
  });

  const freezing = `${FREEZES} freezes of a gateway for ${FROZEN_MS / 1_000} s`;
  it(`neither loses nor doubles an order: ${TOGGLES} layouts, ${freezing}`, async () => {
    let [isOver, unansweredResizes] = [false, 0];
    const bought = buyUntil(() => isOver);
    const allFreezes = (async () => {
      for (let freeze = 0; freeze < FREEZES; freeze += 1) {
        const going = resize(UNLUCKY, LAYOUTS[freeze % LAYOUTS.length] ?? 1).catch(() => null);
        await sleep(Math.random() * 40);
        isFrozen = true;
        freezes += 1;
        gateways[UNLUCKY]?.signal('SIGSTOP');
        await sleep(FROZEN_MS);
        gateways[UNLUCKY]?.signal('SIGCONT');
        await going;
        isFrozen = false;
        await sleep(THAWED_MS);
      }
    })();
    for (let toggle = 0; toggle < TOGGLES; toggle += 1) {
      const { status, text } = await resize(toggle % 2, LAYOUTS[toggle % LAYOUTS.length] ?? 1);
      if (status === 503) unansweredResizes += 1;
      else if (status !== 200) faults.push(`resize: ${status} ${text}`);
      await sleep(1_000);
    }
    await allFreezes;
    isOver = true;
    const taken = await bought;
    await inParallel(orders, CLIENTS, async (order) => {
      while (order.sent < SENT_MIN || !order.sold) await send(order);
    });
    console.log(
      `      ${orders.length} orders, each sent ${SENT_MIN} times or more; ` +
        `${unansweredResizes} of ${TOGGLES} layouts deferred; while no gateway was frozen: ${describeTaken(taken)}`,
    );
    expect(faults).to.deep.equal([]);
    await eventually('no units are in transit or in closed rows', 30_000, async () => {
      const { state, earlier } = await layoutOf(stack(), sku_id);
      return (state === 'open' || state === 'single') && earlier === '[]' && (await unitsToMove(stack(), sku_id)) === 0;
    });
    const rows = await hotRowsOf(stack(), sku_id);
    expect(
      rows.reduce((sum, { flow_count }) => sum + flow_count, 0),
      'flows',
    ).to.equal(orders.length);
    expect(
      rows.reduce((sum, { leaved_amount }) => sum + leaved_amount, 0),
      'units left',
    ).to.equal(UNITS - orders.reduce((sum, { quantity }) => sum + quantity, 0));
    await rowsBalance(stack(), sku_id);
  }).timeout(TIMEOUT_MS);
});

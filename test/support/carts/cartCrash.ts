import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import { httpClient } from '../../../scripts/support/httpClient.ts';
import { wordOf } from './cartCustomers.ts';
import { cartRows, decisionsOf, endsOf, linesOf, nothingHeld } from './cartRows.ts';
import { IN_TRANSACTION, JOINTLY, WITH_ATTEMPTS } from './protocols.ts';
import type { Protocol } from './protocols.ts';
import { eventually } from '../run/eventually.ts';
import { armedText, FAIL_POINT_VARIABLES, MOMENTS } from '../faults/failPoints.ts';
import type { Armed, FailPointFault } from '../faults/failPoints.ts';
import { fresh } from '../gateway/gateway.ts';
import type { TestGateway } from '../gateway/gateway.ts';
import { stack } from '../run/setup.ts';
import type { TemporaryFolder } from '../run/temporary.ts';
import { skuOn } from '../engines/traffic.ts';

/**
 * The points at which the coordinator of an order over the first two shards of a protocol can be struck. A cart with
 * attempts has the cart record, two holds, the commit decision and two completions. A transaction has one hold, the
 * decision and one completion.
 */
export function crashPoints(protocol: Protocol): readonly Pick<Armed, 'point' | 'pass'>[] {
  return (CALLS.get(protocol) ?? []).flatMap(([call, passes]) =>
    Array.from({ length: passes }, (_, index) =>
      MOMENTS.map((moment) => ({ point: `${call} ${moment}`, pass: index + 1 })),
    ).flat(),
  );
}

/** The calls of a coordinator, each with its number. */
const CALLS: ReadonlyMap<Protocol, readonly (readonly [call: string, passes: number])[]> = new Map([
  [
    WITH_ATTEMPTS,
    [
      ['carts.begin', 1],
      ['engine.apply', 4],
      ['carts.decide', 1],
    ] as const,
  ],
  [
    IN_TRANSACTION,
    [
      ['engine.apply', 2],
      ['engine.applyJointly', 1],
    ] as const,
  ],
  [JOINTLY, [['engine.applyJointly', 1]] as const],
]);

/** A frozen coordinator continues after the time at which other gateways may decide its cart. */
export const FROZEN_MS = 6_500;
/** Within this time every effect has ended and is definite. */
export const OVER_MS = 30_000;

/** One cart for one unit each of two SKUs that have only that one unit. */
export interface CrashedCart {
  readonly order_id: string;
  readonly sku_ids: readonly [string, string];
}

export async function openCrashedCart(healthy: TestGateway, { shards }: Protocol): Promise<CrashedCart> {
  const name = fresh('crash');
  const sku_ids = [skuOn(shards[0], name), skuOn(shards[1], name)] as const;
  for (const sku_id of sku_ids) await healthy.openSku(sku_id, 1);
  return { order_id: name, sku_ids };
}

/** Another buyer orders the first unit, and sends the order again until its answer is definite. */
export async function sellToRival(healthy: TestGateway, { sku_ids: [sku_id] }: CrashedCart): Promise<string> {
  const line = { sku_id, order_detail_id: fresh('rival'), quantity: 1 };
  const untilMs = performance.now() + OVER_MS;
  for (;;) {
    const word = wordOf(await healthy.deduct(line));
    if (!['overloaded', 'outcome_unknown'].includes(word) || performance.now() > untilMs) return word;
    await sleep(100);
  }
}

/**
 * Checks the end of a cart, whose coordinator was struck, against all answers.
 *
 * @param answer the outcome in the answer to the order of the cart, null without an answer
 * @param rival the outcome in the answer to the other order of the first unit
 */
export async function expectOneEnd(
  { order_id, sku_ids }: CrashedCart,
  answer: string | null,
  rival: string,
): Promise<void> {
  await nothingHeld(sku_ids, OVER_MS);
  await eventually(
    `the record of ${order_id} is decided`,
    OVER_MS,
    async () => !(await decisionsOf(order_id, sku_ids)).includes('open'),
  );
  const rows = await cartRows(sku_ids);
  const ends = endsOf(rows, linesOf(sku_ids, order_id));
  const records = await decisionsOf(order_id, sku_ids);
  const summary = `answered ${answer}, the rival ${rival}; lines ${ends.join()}, records ${records.join()}`;
  expect(ends[0], summary).to.equal(ends[1]).and.to.be.oneOf(['deducted', 'none']);
  const isSold = ends[0] === 'deducted';
  expect(records.filter((state) => state === 'committed').length, summary).to.equal(isSold ? 1 : 0);
  expect(rival, summary).to.equal(isSold ? 'insufficient_stock' : '201');
  if (answer === '201') expect(isSold, summary).to.equal(true);
  else if (answer !== null && answer !== 'outcome_unknown') expect(isSold, summary).to.equal(false);
  expect(rows.stock.get(sku_ids[0]), summary).to.deep.equal({ leaved: 0, held: 0 });
  expect(rows.stock.get(sku_ids[1]), summary).to.deep.equal({ leaved: isSold ? 0 : 1, held: 0 });
}

/** Strikes a gateway process while it sells a cart: the process kills itself, or is frozen and continued. */
export async function strikeProcess(
  healthy: TestGateway,
  protocol: Protocol,
  folder: TemporaryFolder,
  fault: Extract<FailPointFault, 'kill' | 'stall'>,
  at: Pick<Armed, 'point' | 'pass'>,
): Promise<void> {
  const cart = await openCrashedCart(healthy, protocol);
  const report = join(folder.path, `${cart.order_id}.report`);
  const { armed, report: reportName, stallMs, oldProtocol } = FAIL_POINT_VARIABLES;
  const gateway = await startGatewayProcess(
    {
      ...stack().environment,
      ...{ PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'silent' },
      ...{ [armed]: armedText({ ...at, fault }), [reportName]: report, [stallMs]: '500' },
      ...(protocol === WITH_ATTEMPTS ? { [oldProtocol]: 'yes' } : {}),
    },
    'test/support/faults/failPointGateway.ts',
  );
  const client = httpClient(1);
  try {
    const url = `${gateway.publicUrl}/v1/deductions`;
    const body = { order_id: cart.order_id, lines: linesOf(cart.sku_ids, cart.order_id) };
    const hasFired = (): boolean => existsSync(report) && readFileSync(report, 'utf8').includes('fires');
    // A gateway that has just started on a busy machine may reject the order before it reaches the point.
    const send = async (): Promise<string | null> => {
      for (;;) {
        const word = await client.call({ method: 'POST', url, body, waitMs: OVER_MS }).then(wordOf, () => null);
        if (word !== 'overloaded' || hasFired()) return word;
      }
    };
    const answer = send();
    await eventually(`${at.point} is passed`, OVER_MS, hasFired);
    if (fault === 'stall') gateway.signal('SIGSTOP');
    const rival = sellToRival(healthy, cart);
    await sleep(fault === 'stall' ? FROZEN_MS : 0);
    if (fault === 'stall') gateway.signal('SIGCONT');
    await expectOneEnd(cart, await answer, await rival);
  } finally {
    client.close();
    gateway.signal('SIGKILL');
    await gateway.exited;
  }
}

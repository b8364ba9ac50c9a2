import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { startGatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import { inParallel } from '../../scripts/support/inParallel.ts';
import { eventually } from '../support/run/eventually.ts';
import { armedText, FAIL_POINT_VARIABLES, MOMENTS } from '../support/faults/failPoints.ts';
import type { Armed } from '../support/faults/failPoints.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { layoutOf, rowsBalance, unitsToMove } from '../support/hot/hotRows.ts';
import { portMethods } from '../support/faults/portMethods.ts';
import { stack } from '../support/run/setup.ts';
import { temporaryFolder } from '../support/run/temporary.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
/** Cases at once: each starts a gateway. */
const WIDTH = 4;
const UNITS = 60;
const ORDERS = 12;
const TIMEOUT_MS = 900_000;
const PREPARE_MS = 20_000;
const TRIES_MAX = 4;
/** For a gateway to die without any work by another one. */
const ALONE_MS = 1_000;
/** Port methods called by a resize and its background work; the ones in OF_OTHERS are called by orders and sweepers. */
const RESIZE = /^(layouts|hotRows|engine)\.\w+$/;
const OF_OTHERS = [
  'layouts.claimUnfinished',
  'hotRows.findExisting',
  'hotRows.readHolds',
  'layouts.replaceBySingle',
  'engine.apply',
  'engine.applyJointly',
  'engine.groupOf',
  'hotRows.findUnfinished',
];
/** The quick form kills at some steps only, after the step but before its reply: each kill costs a gateway's start. */
const STEPS_NOW = LONG ? RESIZE : /^(layouts\.replace|hotRows\.(close|open|clearTransfers))$/;
const MOMENTS_NOW = LONG ? MOMENTS : MOMENTS.slice(-1);
/** From one row to several, from several to more, and back. */
const RESIZES: readonly (readonly [from: number, to: number])[] = LONG
  ? [
      [1, 4],
      [4, 16],
      [16, 3],
      [3, 1],
    ]
  : [[3, 5]];

type Pass = Pick<Armed, 'point' | 'pass'>;

/** The points at which some gateway must have been killed. */
function wantedPoints(): string[] {
  const steps = portMethods().filter(({ name }) => STEPS_NOW.test(name) && !OF_OTHERS.includes(name));
  return steps.flatMap(({ name }) => MOMENTS_NOW.map((moment) => `${name} ${moment}`));
}

describe('a resize whose gateway dies', () => {
  const folder = temporaryFolder();
  let survivor: TestGateway;

  before(async () => {
    survivor = await startTestGateway();
  });

  after(async () => {
    await survivor.stop();
    folder.remove();
  });

  const startArmed = (name: string, armed: Armed | null): Promise<GatewayProcess> =>
    startGatewayProcess(
      {
        ...stack().environment,
        ...{ PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'silent' },
        [FAIL_POINT_VARIABLES.armed]: armedText(armed),
        [FAIL_POINT_VARIABLES.report]: folder.write(name, ''),
      },
      'test/support/faults/failPointGateway.ts',
    );
  const kill = async ({ signal, exited }: GatewayProcess): Promise<void> => {
    signal('SIGKILL');
    await exited;
  };
  const reported = (name: string): string[] => readFileSync(`${folder.path}/${name}`, 'utf8').split('\n').slice(0, -1);
  const resize = (adminUrl: string, sku_id: string, sub_rows: number) => {
    const url = `${adminUrl}/v1/skus/${encodeURIComponent(sku_id)}/hot`;
    return survivor.client.call(
      sub_rows === 1 ? { method: 'DELETE', url } : { method: 'PUT', url, body: { sub_rows } },
    );
  };
  const ordersOf = (sku_id: string, from: number) =>
    Array.from({ length: ORDERS }, (_, order) => ({
      sku_id,
      order_detail_id: `d${from + order}`,
      quantity: 1 + (order % 2),
    }));
  const isAtRest = async (sku_id: string): Promise<boolean> => {
    const layout = await layoutOf(stack(), sku_id);
    return (
      (layout.state === 'open' || layout.state === 'single') &&
      layout.earlier === '[]' &&
      (await unitsToMove(stack(), sku_id)) === 0
    );
  };

  /** Opens a SKU, splits it into some rows and sells units from them. */
  const prepare = async (sku_id: string, sub_rows: number): Promise<void> => {
    await survivor.openSku(sku_id, UNITS);
    // On a busy machine the first attempts may be rejected.
    if (sub_rows > 1)
      await eventually(
        'it is split',
        PREPARE_MS,
        async () => (await resize(survivor.adminUrl, sku_id, sub_rows)).status === 200,
      );
    for (const line of ordersOf(sku_id, 0))
      await eventually('it is sold', PREPARE_MS, async () => (await survivor.deduct(line)).status < 300);
  };

  const trace = async (from: number, to: number): Promise<Pass[]> => {
    const [sku_id, name] = [fresh('traced'), `trace ${from} ${to}`];
    await prepare(sku_id, from);
    const gateway = await startArmed(name, null);
    expect((await resize(gateway.adminUrl, sku_id, to)).status).to.equal(200);
    await eventually('the resize and its background work are done', 20_000, () => isAtRest(sku_id));
    await kill(gateway);
    const counts = new Map<string, number>();
    for (const line of reported(name)) {
      const point = line.replace(/^\w+ /, '');
      const isChosen =
        STEPS_NOW.test(point.split(' ')[0] ?? '') &&
        !point.startsWith('hotRows.findUnfinished') &&
        MOMENTS_NOW.some((moment) => point.endsWith(moment));
      if (isChosen) counts.set(point, (counts.get(point) ?? 0) + 1);
    }
    // A step that the other gateway did this time may be done by this one the next time.
    for (const point of wantedPoints()) if (!counts.has(point)) counts.set(point, 1);
    return [...counts].flatMap(([point, count]) =>
      (LONG ? Array.from({ length: count }, (_, pass) => pass + 1) : [1]).map((pass) => ({ point, pass })),
    );
  };

  /** @param isAlone whether the other gateway does nothing until this one has died or is done */
  const killAt = async (
    [from, to]: readonly [number, number],
    { point, pass }: Pass,
    isAlone: boolean,
  ): Promise<string> => {
    const sku_id = fresh('struck');
    await prepare(sku_id, from);
    const gateway = await startArmed(sku_id, { point, pass, fault: 'kill' });
    try {
      const answer = resize(gateway.adminUrl, sku_id, to).catch(() => null);
      const during = ordersOf(sku_id, 100);
      if (isAlone) await Promise.race([gateway.exited, sleep(ALONE_MS)]);
      for (const line of during) {
        const attempt = await survivor.deduct(line);
        if (attempt.status === 201) continue;
        // Rows may be closed until another gateway finishes the resize.
        expect(attempt.status, attempt.text).to.equal(503);
        await eventually('it is sold', 20_000, async () => (await survivor.deduct(line)).status < 300);
      }
      await answer;
      await eventually(`the resize killed at ${point} (${pass}) is finished`, 20_000, () => isAtRest(sku_id));
      for (const line of [...ordersOf(sku_id, 0), ...during])
        expect((await survivor.deduct(line)).body, point).to.include({ replayed: true });
      await rowsBalance(stack(), sku_id);
      const sold = 2 * ordersOf(sku_id, 0).reduce((sum, { quantity }) => sum + quantity, 0);
      expect((await survivor.get(`/v1/skus/${encodeURIComponent(sku_id)}`)).body?.leaved_amount).to.equal(UNITS - sold);
      return reported(sku_id).includes(`fires ${point}`) ? point : '';
    } finally {
      await kill(gateway);
    }
  };

  for (const [from, to] of RESIZES) {
    it(`is finished by another gateway, from ${from} rows to ${to}, at every step`, async () => {
      const passes = await trace(from, to);
      const killed = new Set<string>();
      await inParallel(passes, WIDTH, async (pass) => {
        // Another gateway may have done the step first.
        for (let tries = 0; tries < TRIES_MAX && !killed.has(pass.point); tries += 1)
          killed.add(await killAt([from, to], pass, tries > 0));
      });
      expect(
        wantedPoints().filter((point) => !killed.has(point)),
        'points at which no gateway was killed',
      ).to.deep.equal([]);
    }).timeout(TIMEOUT_MS);
  }
});

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { inParallel } from '../../scripts/support/inParallel.ts';
import { startGatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { expectResolved, sendUntilDefinite } from '../support/faults/interrupted.ts';
import { ENGINES_NOW } from '../support/engines/engines.ts';
import type { EngineName } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import {
  armedText,
  FAIL_POINT_VARIABLES,
  failPoints,
  FAIL_POINT_FAULTS,
  MOMENTS,
  SYNCHRONOUS_METHODS,
} from '../support/faults/failPoints.ts';
import type { Armed, FailPointFault } from '../support/faults/failPoints.ts';
import { portMethods } from '../support/faults/portMethods.ts';
import { startSweepBench } from '../support/faults/sweepBench.ts';
import type { SlotToMove, SweepBench } from '../support/faults/sweepBench.ts';
import type { Call, CaseIds } from '../support/faults/sweptCalls.ts';
import { SWEPT_OPERATIONS } from '../support/faults/sweptOperations.ts';
import type { SweptOperation } from '../support/faults/sweptOperation.ts';
import { temporaryFolder } from '../support/run/temporary.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
/** The quick form kills at each point of one operation; the long form adds the other operations and faults. */
const SWEPT_NOW = LONG ? SWEPT_OPERATIONS : SWEPT_OPERATIONS.filter(({ name }) => name === 'deduct one line');
const FAULTS_NOW: readonly FailPointFault[] = LONG ? FAIL_POINT_FAULTS : ['kill'];
/** Cases at once. A start takes a second of processor time, a stall takes none. */
const WIDTH: Readonly<Record<FailPointFault, number>> = { kill: 4, throw: 4, stall: 12 };
/** The periodic tasks of every gateway, which run without requests. */
const BACKGROUND = ['carts.findUnfinished', 'records.deleteAborted'];
const BACKGROUND_TASKS_MS = 500;
/** Longer than a stall. */
const LAST_ANSWER_MS = 30_000;

/** A point, and the number of the pass through it. */
type Pass = Pick<Armed, 'point' | 'pass'>;

/** The calls that maintain split SKUs have a crash sweep of their own: `hotCrash.test.ts`. */
const OF_SPLIT = /^(layouts|hotRows)\./;

/** The calls of the other protocol of orders over several servers. */
const NOT_CALLED: Readonly<Record<EngineName, RegExp>> = {
  batching: /^carts\.(begin|decide) /,
  textbook: /^(engine\.applyJointly|records\.(begin|areUsable)) /,
};

const methods = portMethods().filter(({ name }) => !OF_SPLIT.test(name));
const points = methods.flatMap(({ name }) => MOMENTS.map((moment) => `${name} ${moment}`));

for (const engineName of ENGINES_NOW) {
  describe(`crash sweep at the ports, engine: ${engineName}`, () => {
    const folder = temporaryFolder();
    let bench: SweepBench;
    /** For each operation, the points that it passes, in order and with repetitions. */
    const passed = new Map<SweptOperation, readonly Pass[]>();
    const struck = new Set<string>();
    const called = points.filter((point) => !NOT_CALLED[engineName].test(point));

    before(async () => {
      bench = await startSweepBench();
      const traced = await startGateway('trace', null);
      for (const operation of SWEPT_OPERATIONS) passed.set(operation, await trace(operation, traced));
      await kill(traced);
    });

    after(async () => {
      await bench.stop();
      folder.remove();
    });

    it('puts a point before and after every method of every port', async () => {
      const atOnce = methods.filter(({ isAwaited }) => !isAwaited).map(({ name }) => name);
      expect(atOnce).to.have.members([...SYNCHRONOUS_METHODS]);
      const seen: string[] = [];
      const { decorate, begin } = failPoints(null, 0, (point) => seen.push(point));
      const bare: Record<string, Record<string, () => unknown>> = {};
      for (const { port, method, isAwaited } of methods)
        bare[port] = { ...bare[port], [method]: () => (isAwaited ? Promise.resolve() : method) };
      const decorated = decorate(bare);
      begin();
      for (const { port, method, isAwaited } of methods) {
        const result = decorated[port]?.[method]?.();
        expect(isAwaited ? await result : result).to.equal(isAwaited ? undefined : method);
      }
      expect(seen).to.deep.equal(points);
    });

    it('passes every point with some operation', () => {
      const seen = new Set([...passed.values()].flat().map(({ point }) => point));
      expect([...seen].sort()).to.deep.equal([...called].sort());
      for (const [{ name }, passes] of passed) expect(passes, name).to.not.be.empty;
    });

    for (const operation of SWEPT_NOW) {
      for (const fault of FAULTS_NOW) {
        it(`resolves "${operation.name}" after a ${fault} at every point it passes`, async () => {
          const faults: string[] = [];
          const passes = passed.get(operation) ?? [];
          const cases = (LONG ? passes : lastOfEach(passes)).map((pass) => ({ ...pass, fault }));
          await inParallel(cases, WIDTH[fault], async (armed) => {
            await strike(operation, armed).catch((error: unknown) =>
              faults.push(`${armedText(armed)}: ${String(error)}`),
            );
          });
          expect(faults).to.deep.equal([]);
        });
      }
    }

    it('strikes at every point, and every SKU balances', async () => {
      const wanted = SWEPT_NOW.flatMap((operation) => (passed.get(operation) ?? []).map(({ point }) => point));
      expect([...struck].sort()).to.deep.equal([...new Set(LONG ? called : wanted)].sort());
      expect(await bench.wrongBalances()).to.deep.equal([]);
    });

    const startGateway = (name: string, armed: Armed | null): Promise<GatewayProcess> =>
      startGatewayProcess(
        {
          ...bench.own.environment,
          STOCKGATE_ENGINE: engineName,
          PORT: '0',
          ADMIN_PORT: '0',
          STOCKGATE_LOG_LEVEL: 'silent',
          [FAIL_POINT_VARIABLES.armed]: armedText(armed),
          [FAIL_POINT_VARIABLES.report]: folder.write(name, ''),
        },
        'test/support/faults/failPointGateway.ts',
      );

    const kill = async ({ signal, exited }: GatewayProcess): Promise<void> => {
      signal('SIGKILL');
      await exited;
    };

    const reported = (name: string): string[] =>
      readFileSync(`${folder.path}/${name}`, 'utf8').split('\n').slice(0, -1);

    /** Moves the slot while the gateway runs, so that every operation also reads the slots again. */
    const prepare = async (operation: SweptOperation, ids: CaseIds & SlotToMove): Promise<void> => {
      await bench.moveSlot(ids);
      for (const call of operation.prepare(ids))
        expect(await sendUntilDefinite(bench, bench.healthy[0], call)).to.equal(201);
      if (operation.isCart === true) await bench.nothingHeld(ids);
      if (operation.heldBy !== undefined) await bench.leaveHold(ids, operation.heldBy);
    };

    const trace = async (operation: SweptOperation, traced: GatewayProcess): Promise<Pass[]> => {
      const ids = await bench.idsToMove();
      await prepare(operation, ids);
      const begun = reported('trace').length;
      const answer = await bench.send(traced, operation.call(ids));
      // Includes the background tasks after the answer, and excludes the periodic ones.
      if (operation.isCart === true) await sleep(BACKGROUND_TASKS_MS);
      const lines = reported('trace')
        .slice(begun)
        .filter(
          (line) => !BACKGROUND.some((name) => line.includes(name)) && !OF_SPLIT.test(line.replace(/^passes /, '')),
        );
      await expectResolved(bench, {
        operation,
        ids,
        answer: Promise.resolve(answer),
        isHeld: false,
        survivor: traced,
      });
      const counts = new Map<string, number>();
      const background =
        operation.heldBy === undefined
          ? []
          : BACKGROUND.flatMap((name) => MOMENTS.map((moment) => ({ point: `${name} ${moment}`, pass: 1 })));
      const own = lines.map((line) => {
        const point = line.replace(/^passes /, '');
        const pass = (counts.get(point) ?? 0) + 1;
        counts.set(point, pass);
        return { point, pass };
      });
      return [...own, ...background];
    };

    /** A busy machine may reject a request before it reaches the point; then the request is sent again. */
    const untilStruck = async (
      gateway: GatewayProcess,
      call: Call,
      hasFired: () => boolean,
    ): Promise<Answer | null> => {
      const answer = await bench.send(gateway, call, LAST_ANSWER_MS);
      return hasFired() || answer?.body?.code !== 'overloaded' ? answer : untilStruck(gateway, call, hasFired);
    };

    const strike = async (operation: SweptOperation, armed: Armed): Promise<void> => {
      const ids = await bench.idsToMove();
      const gateway = await startGateway(ids.name, armed);
      try {
        await prepare(operation, ids);
        const hasFired = (): boolean => reported(ids.name).includes(`fires ${armed.point}`);
        const answer = untilStruck(gateway, operation.call(ids), hasFired);
        await eventually('the point fires', LAST_ANSWER_MS, hasFired);
        struck.add(armed.point);
        const survivor = armed.fault === 'kill' ? null : gateway;
        await expectResolved(bench, { operation, ids, answer, isHeld: armed.fault === 'stall', survivor });
        if (survivor === null) expect(await gateway.exited).to.deep.equal({ code: null, signal: 'SIGKILL' });
      } finally {
        await kill(gateway);
      }
    };
  });
}

/** Keeps the last pass of each point, which does the work that an earlier pass may have rejected. */
function lastOfEach(passes: readonly Pass[]): Pass[] {
  return [...new Map(passes.map((pass) => [pass.point, pass])).values()];
}

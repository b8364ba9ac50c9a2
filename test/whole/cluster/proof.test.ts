import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import type { GatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import { hasExpectedEnd, undecidedWrites } from '../../proof/finalChecks.ts';
import { check } from '../../proof/rules/checker.ts';
import { isResolvedBy } from '../../proof/rules/inDoubt.ts';
import { BENCH_FAULTS, clockShift } from '../../proof/faults.ts';
import type { AdjustmentSent } from '../../proof/history.ts';
import { inOrderOfBegin, runRound } from '../../proof/round.ts';
import { GatewaySlot } from '../../proof/slot.ts';
import { SPLIT_BROKEN, SPLIT_VALID } from '../../proof/stories/splitStories.ts';
import { BROKEN, VALID } from '../../proof/stories/stories.ts';
import { TIER_BROKEN, TIER_VALID } from '../../proof/stories/tierStories.ts';
import { TRANSACTION_BROKEN, TRANSACTION_VALID } from '../../proof/stories/transactionStories.ts';
import { startProofWorld } from '../../proof/world.ts';
import type { ProofWorld } from '../../proof/world.ts';
import { ENGINE_NAMES } from '../../support/engines/engines.ts';
import { stack } from '../../support/run/setup.ts';
import { startWireProxy } from '../../support/wire/wireProxy.ts';

/** A selection of rounds, with another engine for each gateway; `npm run test:faults` has the rest. */
const ROUNDS: readonly { readonly kind: string; readonly seed: number }[] = ['mysqld-kill', 'mix'].map(
  (kind, index) => ({ kind, seed: 100 + index }),
);

describe('proof bench', () => {
  let world: ProofWorld;
  before(async () => {
    world = await startProofWorld(stack(), 2, ENGINE_NAMES, { isShared: true });
  });
  after(() => world.stop());

  for (const { kind, seed } of ROUNDS) {
    it(`is content with a round of ${kind}, seed ${seed}`, async () => {
      const result = await runRound(world, { kind, seed, trafficMs: 2_000, clients: 16, cartShare: 0.5 });
      expect(result.violations).to.deep.equal([]);
      expect(result.verdict).to.equal('content');
      expect(result.operations).to.be.above(50);
    });
  }
});

describe('history checker', () => {
  for (const { name, invariant, history, state } of [...BROKEN, ...SPLIT_BROKEN, ...TRANSACTION_BROKEN]) {
    it(`notices ${name}`, () => {
      expect(check(history, state).map((violation) => violation.invariant)).to.include(invariant);
    });
  }

  for (const { name, history, state } of [...VALID, ...SPLIT_VALID, ...TRANSACTION_VALID]) {
    it(`is content with ${name}`, () => {
      expect(check(history, state)).to.deep.equal([]);
    });
  }

  for (const { name, invariant, history, state, hasTiers } of TIER_BROKEN) {
    it(`notices ${name}`, () => {
      expect(check(history, state, 0, hasTiers).map((violation) => violation.invariant)).to.include(invariant);
    });
  }

  for (const { name, history, state, hasTiers } of TIER_VALID) {
    it(`is content with ${name}`, () => {
      expect(check(history, state, 0, hasTiers)).to.deep.equal([]);
    });
  }

  const adjusted = (more: Partial<AdjustmentSent>): AdjustmentSent => ({
    kind: 'adjustment',
    sku_id: 's',
    adjustment_id: 'a',
    delta: 1,
    invokedMs: 0,
    endedMs: 6_000,
    verdict: 'unknown',
    code: null,
    replayed: null,
    ...more,
  });

  it('takes a refusal as the end of an in-doubt write only when the write was over', () => {
    const again = (more: Partial<AdjustmentSent>) => ({ kind: 'again', answer: adjusted(more) }) as const;
    const refused = { verdict: 'refused', code: 'insufficient_stock' } as const;
    expect(isResolvedBy(adjusted({}), again({ ...refused, invokedMs: 4_999 }))).to.equal(false);
    expect(isResolvedBy(adjusted({}), again({ ...refused, invokedMs: 5_001 }))).to.equal(true);
    expect(isResolvedBy(adjusted({}), again({ verdict: 'done', invokedMs: 10 }))).to.equal(true);
    expect(isResolvedBy(adjusted({}), again({ verdict: 'undone', invokedMs: 9_000 }))).to.equal(false);
  });

  it('rejects a product that does nothing', () => {
    const undone = adjusted({ verdict: 'undone', code: 'overloaded' });
    expect(undecidedWrites([undone])).to.have.length(1);
    expect(undecidedWrites([adjusted({ verdict: 'done' })])).to.deep.equal([]);
    expect(hasExpectedEnd({}, undone, true)).to.equal(false);
    expect(hasExpectedEnd({}, adjusted({ verdict: 'refused', code: 'unknown_sku' }), false)).to.equal(false);
    expect(hasExpectedEnd({}, adjusted({ verdict: 'refused', code: 'unknown_sku' }), true)).to.equal(true);
  });
});

describe('the faults of the proof bench', () => {
  it('begin with those that need a command on a server before those that make it unreachable', () => {
    const kinds = inOrderOfBegin(BENCH_FAULTS).map(({ kind }) => kind);
    for (const [server, commands] of [
      ['mysqld', ['read-only', 'connection-limit', 'locked-rows']],
      ['redis', ['redis-flush', 'redis-nonsense']],
      ['replica', ['replica-stop']],
    ] as const) {
      for (const end of ['kill', 'freeze']) {
        expect(kinds).to.include(`${server}-${end}`);
        for (const kind of commands)
          expect(kinds.indexOf(`${server}-${end}`), `${server}-${end} and ${kind}`).to.be.above(kinds.indexOf(kind));
      }
    }
  });

  /** Starts processes that end 5 ms after a stop. Also the running ones, and the stopped ones in order. */
  function processes(code = 0): { start: () => Promise<GatewayProcess>; running: Set<number>; terms: number[] } {
    const running = new Set<number>();
    const terms: number[] = [];
    let pid = 0;
    const start = async (): Promise<GatewayProcess> => {
      const own = (pid += 1);
      running.add(own);
      let end: (exit: { code: number | null; signal: NodeJS.Signals | null }) => void = () => undefined;
      const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => (end = resolve));
      const over = (exit: { code: number | null; signal: NodeJS.Signals | null }) =>
        setTimeout(() => {
          running.delete(own);
          end(exit);
        }, 5);
      const stop = () => {
        terms.push(own);
        over({ code, signal: null });
        return exited;
      };
      return {
        publicUrl: '',
        adminUrl: '',
        pid: own,
        exited,
        signal: () => void over({ code: null, signal: 'SIGKILL' }),
        stop,
      };
    };
    return { start, running, terms };
  }

  it('replaces a gateway once at a time, and stops every process that it started', async () => {
    const { start, running, terms } = processes();
    const slot = await GatewaySlot.open(start);
    await Promise.all([slot.replace(), slot.kill(), slot.replace(), slot.replace()]);
    expect([...running]).to.deep.equal([slot.process.pid]);
    expect(new Set(terms).size).to.equal(terms.length);
    await slot.stop();
    expect(running.size).to.equal(0);
  });

  it('accepts an end by SIGKILL only if it sent the signal, and starts another gateway either way', async () => {
    const { start, running } = processes();
    const slot = await GatewaySlot.open(start);
    slot.process.signal('SIGKILL');
    await slot.process.exited;
    expect(
      await slot.replace().then(
        () => 'replaced',
        (error: Error) => error.message,
      ),
    ).to.contain('SIGKILL');
    expect(running.size).to.equal(1);
    await slot.kill();
    await slot.replace();
  });

  it('shifts every clock but the monotonic one', () => {
    const shifted = runInNewContext(
      `${clockShift(3_600_000)}; [Date.now(), new Date().getTime(), new Date(5).getTime(), new Date() instanceof Date]`,
      { Date: globalThis.Date },
    ) as unknown[];
    for (const time of shifted.slice(0, 2)) expect(time).to.be.within(Date.now() + 3_590_000, Date.now() + 3_610_000);
    expect(shifted.slice(2)).to.deep.equal([5, true]);
  });

  it('cuts in two ways at once', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = await startWireProxy({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
    const commit = Buffer.concat([Buffer.from([7, 0, 0, 0, 3]), Buffer.from('COMMIT')]);
    const drawn: string[] = [];
    const ends = (['before', 'inside'] as const).map((cut, place) =>
      proxy.cutWhenever(cut, () => drawn.push(cut) > 0 && place === 1),
    );
    const socket = connect(proxy.port, '127.0.0.1').on('error', () => undefined);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.write(commit);
    await closed;
    for (const end of ends) end();
    expect([drawn, proxy.cutsDone]).to.deep.equal([['before', 'inside'], 1]);
    await proxy.close();
    server.close();
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { expectResolved, sendUntilDefinite } from '../support/faults/interrupted.ts';
import { ENGINES_NOW } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { isBatch } from '../support/wire/packets.ts';
import { SIDES } from '../support/wire/packetProxy.ts';
import type { Strike } from '../support/wire/packetProxy.ts';
import { startSweepBench } from '../support/faults/sweepBench.ts';
import type { SweepBench } from '../support/faults/sweepBench.ts';
import { startSweepLane } from '../support/faults/sweepLane.ts';
import type { SweepLane } from '../support/faults/sweepLane.ts';
import type { CaseIds } from '../support/faults/sweptCalls.ts';
import { SWEPT_OPERATIONS as ALL } from '../support/faults/sweptOperations.ts';
import type { SweptOperation } from '../support/faults/sweptOperation.ts';
import { temporaryFolder } from '../support/run/temporary.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const SHARD = 1;
/** The sweep at the ports covers orders over several shards, of which only one is behind the proxy. */
const OPERATIONS = ALL.filter(({ isCart }) => isCart !== true);
const LANES = LONG ? 6 : 1;
/** Operations that use a batch, even if its guess proves wrong. A refused or replayed operation only reads. */
const BATCHED = /^(deduct(?! more)|return|cancel|adjust)/;
/** Longer than all waits of a gateway for one request. */
const LAST_ANSWER_MS = 10_000;

/**
 * Actions on a packet: the wire is cut, the gateway is killed, or the packet is stalled. After the shorter stall the
 * gateway has given up on the answer, while the server keeps the session. After the longer one it has ended it too.
 */
const ACTS = {
  cut: { kills: false, stallMs: 0 },
  kill: { kills: true, stallMs: 0 },
  'stall of 1.5 s': { kills: false, stallMs: 1_500 },
  'stall of 3 s': { kills: false, stallMs: 3_000 },
} as const;
type Act = keyof typeof ACTS;

interface WireCase extends Pick<Strike, 'packet' | 'side'> {
  readonly act: Act;
}

/** The quick form cuts at every packet of one order's transaction, and kills at its COMMIT. */
const isQuick = ({ act, packet }: WireCase, packets: number): boolean =>
  act === 'cut' || (act === 'kill' && packet === packets);

for (const engineName of ENGINES_NOW) {
  describe(`crash sweep at the wire, engine: ${engineName}`, () => {
    const folder = temporaryFolder();
    let bench: SweepBench;
    let lanes: SweepLane[];
    const statements = new Map<SweptOperation, readonly string[]>();

    before(async () => {
      bench = await startSweepBench();
      lanes = await Promise.all(Array.from({ length: LANES }, () => startSweepLane(bench, folder, SHARD, engineName)));
      const [lane] = lanes;
      if (lane === undefined) throw new Error('no lane was started');
      for (const operation of OPERATIONS) statements.set(operation, await count(lane, operation));
    });

    after(async () => {
      await Promise.all(lanes.map((lane) => lane.stop()));
      await bench.stop();
      folder.remove();
    });

    it('records every packet of every operation', () => {
      for (const [{ name }, seen] of statements) {
        expect(seen, name).to.not.be.empty;
        if (seen[0] === 'BEGIN')
          expect(seen.at(-1), name).to.equal(/left|replay|look/.test(name) ? 'ROLLBACK' : 'COMMIT');
        const batches = seen.filter(isBatch).length;
        expect(batches, `batches of '${name}'`).to.be.at.least(engineName === 'batching' && BATCHED.test(name) ? 1 : 0);
        if (engineName === 'textbook') expect(batches, name).to.equal(0);
      }
    });

    for (const operation of LONG ? OPERATIONS : OPERATIONS.slice(0, 1)) {
      for (const act of Object.keys(ACTS) as Act[]) {
        if (!LONG && ACTS[act].stallMs > 0) continue;
        it(`resolves "${operation.name}" after a ${act} before, inside and after every packet`, async () => {
          const packets = statements.get(operation)?.length ?? 0;
          const cases = SIDES.flatMap((side) =>
            Array.from({ length: packets }, (_, index) => ({ act, side, packet: index + 1 })),
          );
          const queue = cases.filter((wanted) => LONG || isQuick(wanted, packets)).values();
          const faults: string[] = [];
          await Promise.all(
            lanes.map(async (lane) => {
              for (const wanted of queue) {
                await strike(lane, operation, wanted).catch((error: unknown) =>
                  faults.push(`${wanted.side} packet ${wanted.packet}: ${String(error)}`),
                );
              }
            }),
          );
          expect(faults).to.deep.equal([]);
        });
      }
    }

    it('leaves every SKU balanced', async () => {
      // The packet that was stalled last may still be under way.
      if (LONG) await sleep(Math.max(...Object.values(ACTS).map(({ stallMs }) => stallMs)));
      expect(await bench.wrongBalances()).to.deep.equal([]);
    });

    const prepared = async (operation: SweptOperation): Promise<CaseIds> => {
      const ids = bench.idsOn(SHARD);
      for (const call of operation.prepare(ids))
        expect(await sendUntilDefinite(bench, bench.healthy[0], call)).to.equal(201);
      return ids;
    };

    /** Runs an operation undisturbed. @returns the text of its packets */
    const count = async (lane: SweepLane, operation: SweptOperation): Promise<readonly string[]> => {
      const ids = await prepared(operation);
      lane.proxy.watch(ids.sku_ids[0], null);
      const gateway = await lane.gateway();
      const answer = await bench.send(gateway, operation.call(ids));
      const seen = [...lane.proxy.statements];
      // A busy machine rejected the request, so no packet was recorded.
      if (answer?.body?.code === 'overloaded') return count(lane, operation);
      await expectResolved(bench, {
        operation,
        ids,
        answer: Promise.resolve(answer),
        isHeld: false,
        survivor: gateway,
      });
      return seen;
    };

    const strike = async (
      lane: SweepLane,
      operation: SweptOperation,
      { act, packet, side }: WireCase,
    ): Promise<void> => {
      const { kills, stallMs } = ACTS[act];
      const ids = await prepared(operation);
      const gateway = await lane.gateway();
      const perform: Strike['act'] = () => {
        if (stallMs > 0) return sleep(stallMs, 'pass' as const);
        if (kills) lane.kill();
        return 'cut';
      };
      lane.proxy.watch(ids.sku_ids[0], { packet, side, act: perform });
      const answer = bench.send(gateway, operation.call(ids), LAST_ANSWER_MS);
      await eventually('the packet is struck', 5_000, () => lane.proxy.hasStruck);
      await expectResolved(bench, { operation, ids, answer, isHeld: stallMs > 0, survivor: kills ? null : gateway });
      if (kills) expect(await gateway.exited).to.deep.equal({ code: null, signal: 'SIGKILL' });
    };
  });
}

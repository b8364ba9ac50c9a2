import { expect } from 'chai';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import { expectResolved, sendUntilDefinite } from '../support/faults/interrupted.ts';
import { ENGINES_NOW } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { SIDES } from '../support/wire/packetProxy.ts';
import type { Strike } from '../support/wire/packetProxy.ts';
import { isBatch } from '../support/wire/packets.ts';
import { startSweepBench } from '../support/faults/sweepBench.ts';
import type { SweepBench } from '../support/faults/sweepBench.ts';
import { startSweepLane } from '../support/faults/sweepLane.ts';
import type { SweepLane } from '../support/faults/sweepLane.ts';
import type { CaseIds } from '../support/faults/sweptCalls.ts';
import { SWEPT_OPERATIONS } from '../support/faults/sweptOperations.ts';
import type { SweptOperation } from '../support/faults/sweptOperation.ts';
import { temporaryFolder } from '../support/run/temporary.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const SHARD = 1;
const STOPPED = [
  'deduct one line',
  ...(LONG ? ['deduct several lines', 'return goods', 'cancel an order', 'adjust'] : []),
];
/** Longer than all waits of a gateway for one request, and longer than a stop. */
const LAST_ANSWER_MS = 30_000;

/**
 * Stops a gateway (SIGSTOP, as in a paused machine or a swapped-out process) before, inside and after each of its
 * packets. The stopped gateway keeps no row locked: others sell the same SKU within five seconds. When it continues,
 * its answer agrees with the effect.
 */
for (const engineName of ENGINES_NOW) {
  describe(`a stopped gateway, engine: ${engineName}`, () => {
    const folder = temporaryFolder();
    let bench: SweepBench;
    let lane: SweepLane;

    before(async () => {
      bench = await startSweepBench();
      lane = await startSweepLane(bench, folder, SHARD, engineName);
    });
    after(async () => {
      await lane.stop();
      await bench.stop();
      folder.remove();
    });

    const prepared = async (operation: SweptOperation): Promise<CaseIds> => {
      const ids = bench.idsOn(SHARD);
      for (const call of operation.prepare(ids))
        expect(await sendUntilDefinite(bench, bench.healthy[0], call)).to.equal(201);
      return ids;
    };

    /**
     * Stops the gateway at one of its packets.
     *
     * @returns the packets of the operation until then, or null when the operation had fewer packets
     */
    const stopAt = async (
      operation: SweptOperation,
      packet: number,
      side: Strike['side'],
    ): Promise<readonly string[] | null> => {
      const ids = await prepared(operation);
      const gateway: GatewayProcess = await lane.gateway();
      let goOn: () => void = () => undefined;
      const released = new Promise<'pass'>((resolve) => (goOn = () => resolve('pass')));
      const act: Strike['act'] = () => {
        gateway.signal('SIGSTOP');
        return released;
      };
      lane.proxy.watch(ids.sku_ids[0], { packet, side, act });
      let isOver = false;
      const answer = bench.send(gateway, operation.call(ids), LAST_ANSWER_MS).finally(() => (isOver = true));
      await eventually(
        'the packet arrives, or the operation ends',
        LAST_ANSWER_MS,
        () => lane.proxy.hasStruck || isOver,
      );
      const letGo = (): void => {
        gateway.signal('SIGCONT');
        goOn();
      };
      try {
        const isHeld = lane.proxy.hasStruck;
        const seen = [...lane.proxy.statements];
        // The reads that follow must not be stopped.
        if (!isHeld) lane.proxy.watch(ids.sku_ids[0], null);
        await expectResolved(bench, { operation, ids, answer, isHeld, release: letGo, survivor: gateway });
        return isHeld ? seen : null;
      } finally {
        letGo();
      }
    };

    for (const operation of SWEPT_OPERATIONS.filter(({ name }) => STOPPED.includes(name))) {
      for (const side of SIDES) {
        it(`keeps no row locked when it stops ${side} each packet of "${operation.name}"`, async () => {
          let seen: readonly string[] = [];
          let packets = 0;
          for (
            let last: readonly string[] | null;
            (last = await stopAt(operation, packets + 1, side)) !== null;
            packets += 1
          )
            seen = last;
          expect(packets, 'packets').to.be.at.least(1);
          expect(seen.some(isBatch), seen.join('; ')).to.equal(engineName === 'batching');
        });
      }
    }

    it('leaves every SKU balanced', async () => {
      expect(await bench.wrongBalances()).to.deep.equal([]);
    });
  });
}

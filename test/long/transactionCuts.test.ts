import { expect } from 'chai';
import { openCutLane } from '../support/carts/transactionCuts.ts';
import type { CutLane } from '../support/carts/transactionCuts.ts';
import { PHASES } from '../support/carts/transactionPhases.ts';
import { CUTS } from '../support/wire/wireProxy.ts';

/** The cuts around the COMMIT of each phase: `STOCKGATE_TEST_CUTS=2000` for a long run. */
const CUTS_PER_PHASE = Number(process.env['STOCKGATE_TEST_CUTS'] ?? 50);
const LANES = 10;
/** Half of the cuts are resolved only after a deadline. */
const CUT_MS = 10_000;

describe(`${CUTS_PER_PHASE} wire cuts around each COMMIT of an order over several shards`, () => {
  const lanes: CutLane[] = [];

  before(async () => {
    lanes.push(...(await Promise.all(Array.from({ length: LANES }, () => openCutLane()))));
  });
  after(() => Promise.all(lanes.map((lane) => lane.close())));

  for (const phase of PHASES) {
    it(`leaves whole orders, or nothing: ${phase.name}`, async () => {
      const faults: string[] = [];
      let begun = 0;
      await Promise.all(
        lanes.map(async (lane) => {
          while (begun < CUTS_PER_PHASE) {
            const cut = CUTS[(begun += 1) % CUTS.length] ?? 'before';
            await lane.cut(phase, cut).catch((error: unknown) => faults.push(String(error)));
          }
        }),
      );
      expect(faults).to.deep.equal([]);
    }).timeout(60_000 + (CUTS_PER_PHASE / LANES) * CUT_MS);
  }
});

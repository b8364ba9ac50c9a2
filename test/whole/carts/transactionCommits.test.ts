import { openCutLane } from '../../support/carts/transactionCuts.ts';
import type { CutLane } from '../../support/carts/transactionCuts.ts';
import { PHASES } from '../../support/carts/transactionPhases.ts';
import { runAhead } from '../../support/faults/runAhead.ts';
import { CUTS } from '../../support/wire/wireProxy.ts';

/** One lane for each kind of cut. `test/long/transactionCuts.test.ts` repeats each cut. */
describe('an order over several shards with one unanswered COMMIT', () => {
  const lanes: CutLane[] = [];

  before(async () => {
    lanes.push(...(await Promise.all(CUTS.map(() => openCutLane()))));
  });
  after(() => Promise.all(lanes.map((lane) => lane.close())));

  const cases = PHASES.flatMap((phase) => CUTS.map((cut, index) => ({ phase, cut, index })));
  const play = runAhead(cases, CUTS.length, async ({ phase, cut, index }) => lanes[index]?.cut(phase, cut));

  for (const one of cases)
    it(`gets an outcome that matches the rows: ${one.phase.name}, cut ${one.cut} its COMMIT`, () => play(one));
});

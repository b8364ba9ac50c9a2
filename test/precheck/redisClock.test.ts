import { expect } from 'chai';
import { NodeClock } from '../../src/redis/nodeClock.ts';

describe('the clock of a Redis node', () => {
  const WINDOW_MS = 7_000;
  /**
   * A reading of a node whose clock is `aheadMs` ahead of ours. The request left at `sentMs`, the answer came at
   * `receivedMs`, and the node read its clock in the middle.
   */
  const reading = (aheadMs: number, askedMs: number, heardMs = askedMs + 2): Parameters<NodeClock['add']>[0] => ({
    nodeMs: (askedMs + heardMs) / 2 + aheadMs,
    sentMs: askedMs,
    receivedMs: heardMs,
  });
  const clockRead = (aheadMs: number, ...askedMs: number[]): NodeClock => {
    const clock = new NodeClock(WINDOW_MS);
    for (const ms of askedMs) expect(clock.add(reading(aheadMs, ms))).to.equal(true);
    return clock;
  };

  it('rounds times in the direction that makes a stock reading older', () => {
    const clock = clockRead(500, 0, 400, 800);
    expect(clock.toNodeClock(700)).to.be.within(1_198, 1_200);
    expect(clock.toOwnClock(1_200, reading(500, 900))).to.be.within(698, 700);
    expect(clock.toOwnClock(1_200, reading(500, 900, 1_100)), 'a slow answer makes it older').to.be.within(599, 601);
  });

  it('is not trusted for two seconds after a step larger than the uncertainty of a reading', () => {
    for (const [byMs, isSeen] of [
      [-30, true],
      [30, true],
      [-15, false],
      [15, false],
      [-3_600_000, true],
    ] as const) {
      const clock = clockRead(500, 0, 400);
      expect(clock.add(reading(500 + byMs, 800)), `set by ${byMs} ms`).to.equal(!isSeen);
      expect([clock.isTrusted(803), clock.isTrusted(2_803)]).to.deep.equal([!isSeen, true]);
      expect(clock.chain).to.equal(isSeen ? 1 : 0);
    }
  });

  it('makes no value younger that was written before an unnoticed step', () => {
    const clock = clockRead(500, 0, 400);
    const writtenMs = clock.toNodeClock(300);
    clock.add(reading(485, 800));
    expect(clock.toOwnClock(writtenMs, reading(485, 900))).to.be.at.most(300);
  });

  it('notices a gradual drift', () => {
    const clock = clockRead(500, 0);
    const seen = [1, 2, 3, 4].map((time) => clock.add(reading(500 - time * 15, time * 400)));
    expect(seen).to.include(false);
  });

  it('starts a new chain when it was not read for too long', () => {
    const clock = clockRead(500, 0, 400);
    expect(clock.wasReadWithin(1_000, 1_500)).to.equal(false);
    clock.add(reading(500, 400 + WINDOW_MS + 10));
    expect(clock.chain).to.equal(1);
  });

  it('ignores an answer that took too long', () => {
    const clock = new NodeClock(WINDOW_MS);
    clock.add(reading(500, 0, 300));
    expect(clock.isTrusted(301)).to.equal(false);
  });
});

import { expect } from 'chai';
import {
  MARK_CLOSED,
  KnownWatermarks,
  MARK_COPYING,
  OWN_WATERMARK_KEY,
  REFERENCE_WATERMARK_KEY,
} from '../../src/core/restore/watermarks.ts';

const reached = (...rows: readonly (readonly [number, number])[]): ReadonlyMap<number, number> => new Map(rows);

describe('watermarks', () => {
  it('report a shard that shows less than was known of it, or than another shard stores of it', () => {
    const watermarks = new KnownWatermarks(3);
    expect(watermarks.learn(0, reached([0, 100]), 0)).to.equal(null);
    expect(watermarks.learn(0, reached([0, 90]), 100)).to.deep.equal({
      watermark: 90,
      mark: null,
      watermarkBefore: 100,
    });
    expect(watermarks.learn(1, reached([1, 50], [2, 70]), 0)).to.equal(null);
    expect(watermarks.learn(2, reached([2, 60]), watermarks.known(2))).to.deep.equal({
      watermark: 60,
      mark: null,
      watermarkBefore: 70,
    });
    expect(watermarks.learn(2, reached(), watermarks.known(2))).to.deep.equal({
      watermark: 0,
      mark: null,
      watermarkBefore: 70,
    });
  });

  it('report a marked shard with its watermark, even if no higher watermark is known', () => {
    for (const mark of [MARK_COPYING, MARK_CLOSED] as const) {
      const watermarks = new KnownWatermarks(2);
      expect(
        watermarks.learn(0, reached([0, mark], [OWN_WATERMARK_KEY, 300], [REFERENCE_WATERMARK_KEY, 400]), 0),
      ).to.deep.equal({
        watermark: 300,
        mark,
        watermarkBefore: 0,
      });
      expect(watermarks.known(0)).to.equal(300);
      expect(new KnownWatermarks(1).learn(0, reached([0, mark]), 0)).to.deep.equal({
        watermark: 0,
        mark,
        watermarkBefore: 0,
      });
    }
  });

  it('do not include marks, nor the values beside a mark that is gone', () => {
    const watermarks = new KnownWatermarks(2);
    watermarks.learn(0, reached([0, MARK_CLOSED]), 0);
    expect([watermarks.known(0), [...watermarks.ofOthers(1)]]).to.deep.equal([0, []]);
    expect(
      watermarks.learn(0, reached([0, 100], [OWN_WATERMARK_KEY, 300], [REFERENCE_WATERMARK_KEY, 400]), 0),
    ).to.equal(null);
    expect(watermarks.known(0)).to.equal(100);
  });

  it('do not report an answer that was sent before the shard was advanced', () => {
    const watermarks = new KnownWatermarks(2);
    watermarks.learn(0, reached([0, 100]), 0);
    const watermarkBefore = watermarks.known(0);
    watermarks.learn(1, reached([0, 200], [1, 10]), 0);
    expect(watermarks.learn(0, reached([0, 100]), watermarkBefore)).to.equal(null);
    expect(watermarks.known(0)).to.equal(200);
  });

  it('are not advanced before half of the other shards have reported theirs', () => {
    const watermarks = new KnownWatermarks(5);
    watermarks.learn(0, reached([0, 10]), 0);
    watermarks.learn(1, reached([1, 10]), 0);
    expect(watermarks.mayAdvance(0)).to.equal(false);
    watermarks.learn(2, reached([2, 10]), 0);
    expect(watermarks.mayAdvance(0)).to.equal(true);
    expect(new KnownWatermarks(1).mayAdvance(0)).to.equal(true);
  });

  it('of the other shards are passed on, but none of shards that do not exist', () => {
    const watermarks = new KnownWatermarks(3);
    watermarks.learn(0, reached([0, 5], [2, 7], [9, 9]), 0);
    expect([...watermarks.ofOthers(0)]).to.deep.equal([[2, 7]]);
    expect([...watermarks.ofOthers(1)]).to.deep.equal([
      [0, 5],
      [2, 7],
    ]);
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { startRedis } from '../../../scripts/cluster/redis/redis.ts';
import type { RedisProcess } from '../../../scripts/cluster/redis/redis.ts';
import { PartitionKeys, partitionOf } from '../../../src/redis/partitions.ts';
import type { RedisReadings } from '../../../src/redis/redisReadings.ts';
import { encodeReading } from '../../../src/redis/value.ts';
import type { StoredReading } from '../../../src/redis/value.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import {
  COMMAND_MS,
  startRedisTier,
  KEEP_MS,
  keyOf,
  storedReading,
  writeUntilRead,
  PREFIX,
  ready,
  redisBench,
  SECRET,
  setClockAhead,
  stockReadingOf,
  stopGateways,
} from '../../support/systems/redisBench.ts';

/** By how much a timer may be late on a busy machine. */
const LATE_MS = 400;

describe('readings in Redis', () => {
  let server: RedisProcess;
  let a: RedisReadings;
  let b: RedisReadings;

  before(async function () {
    this.timeout(120_000);
    const { command, directory } = await redisBench();
    server = await startRedis(command, directory);
    [a, b] = await Promise.all([startRedisTier([server]), startRedisTier([server])]);
  });
  after(async () => {
    await stopGateways();
    await server.stop();
  });

  it('gives a reading of one gateway to another, never with too low an age', async () => {
    const sku_id = fresh('sku');
    const rows = [
      { shard: 1, sub_row: 0, leaved_amount: 2 },
      { shard: 9, sub_row: 1, leaved_amount: 0 },
    ];
    const noted = await writeUntilRead(a, b, sku_id, {
      leaved_amount: 2,
      isEmpty: false,
      version: 7,
      mode: 'hot',
      rows,
    });
    for (const waitMs of [0, 300]) {
      await sleep(waitMs);
      const { asOfMs = Infinity, ...known } = (await storedReading(b, sku_id)) ?? {};
      expect(known).to.deep.equal({ sku_id, leaved_amount: 2, isEmpty: false, version: 7, mode: 'hot', rows });
      expect(asOfMs).to.be.within(noted.asOfMs - 1_000, noted.asOfMs);
    }
  });

  it('returns readings of SKUs that do not exist, many at once and in order, and none of other SKUs', async () => {
    const many = Array.from({ length: 200 }, () => fresh('é"sku'));
    await writeUntilRead(a, b, many[0] ?? '', { leaved_amount: null });
    await eventually('all readings are returned', 5_000, async () => {
      await a.store(many.map((sku_id) => stockReadingOf(sku_id, { leaved_amount: null, rows: [] })));
      const known = await b.read([...many, 'never read'], performance.now() + 1_000);
      expect(known.at(-1)).to.equal(null);
      return known
        .slice(0, -1)
        .every((reading, place) => reading?.sku_id === many[place] && reading?.leaved_amount === null);
    });
  });

  it('keeps the later reading, in any order of the writes', async () => {
    const sku_id = fresh('sku');
    const first = await writeUntilRead(a, b, sku_id, { version: 5 });
    await a.store([stockReadingOf(sku_id, { version: 4, leaved_amount: 1 })]);
    await b.store([stockReadingOf(sku_id, { version: 5, leaved_amount: 2, asOfMs: first.asOfMs - 1_000 })]);
    expect(await storedReading(b, sku_id)).to.include({ version: 5, leaved_amount: 0 });
    await eventually('the later reading is returned', 5_000, async () => {
      await a.store([stockReadingOf(sku_id, { version: 5, leaved_amount: 3 })]);
      return (await storedReading(b, sku_id))?.leaved_amount === 3;
    });
    const versions = Array.from({ length: 20 }, (_, place) => ((place * 7) % 20) + 6);
    for (const version of versions) await (version % 2 === 0 ? a : b).store([stockReadingOf(sku_id, { version })]);
    expect(await storedReading(a, sku_id)).to.include({ version: 25 });
  });

  it('drops old readings', async () => {
    const sku_id = fresh('sku');
    await writeUntilRead(a, b, sku_id);
    expect(Number(await server.ask('PTTL', keyOf(sku_id)))).to.be.within(1, KEEP_MS);
    await a.store([stockReadingOf(sku_id, { version: 2, asOfMs: performance.now() - KEEP_MS - 100 })]);
    expect(await storedReading(b, sku_id)).to.include({ version: 1 });
  });

  it('rejects every value that a gateway did not write under its key', async () => {
    const [sku_id, other] = [fresh('sku'), fresh('sku')];
    await writeUntilRead(a, b, other, { version: 9 });
    const old = await writeUntilRead(a, b, sku_id);
    const copy = String(await server.ask('GET', keyOf(sku_id)));
    const present = {
      run_id: copy.split('|')[3] ?? '',
      era: copy.split('|')[4] ?? '',
      asOfMicros: Number(copy.split('|')[2]),
    };
    const stored: StoredReading = { ...stockReadingOf(sku_id), ...present };
    const signed = (more: Partial<StoredReading>, signer = { keyPrefix: PREFIX, secret: SECRET }): string =>
      encodeReading({ ...stored, ...more }, signer);
    const put: Record<string, readonly string[]> = {
      garbage: ['SET', '', '\u0000|1|'],
      "another SKU's": ['SET', '', String(await server.ask('GET', keyOf(other)))],
      'one with a changed number': ['SET', '', copy.replace('1|1|', '1|2|')],
      'one with another signature': ['SET', '', signed({}, { keyPrefix: PREFIX, secret: Buffer.from('other') })],
      "another prefix's": ['SET', '', signed({}, { keyPrefix: 'other', secret: SECRET })],
      "another run's": ['SET', '', signed({ run_id: 'f'.repeat(40) })],
      "another era's": ['SET', '', signed({ era: 'f'.repeat(32) })],
      'one from the future': ['SET', '', signed({ asOfMicros: present.asOfMicros + 3_600_000_000 })],
      'a list': ['RPUSH', '', copy],
      'a hash': ['HSET', '', 'field', copy],
    };
    for (const [what, words] of Object.entries(put)) {
      const rejected = b.state().rejected;
      await server.ask('DEL', keyOf(sku_id));
      await server.ask(...words.map((word) => (word === '' ? keyOf(sku_id) : word)));
      await eventually(`${what} is rejected`, 5_000, async () => {
        expect(await storedReading(b, sku_id), what).to.equal(null);
        return b.state().rejected > rejected;
      });
    }
    await server.ask('DEL', keyOf(sku_id));
    await server.ask('SET', keyOf(sku_id), copy);
    const untilMs = performance.now() + KEEP_MS + 500;
    while (performance.now() < untilMs) {
      expect((await storedReading(b, sku_id))?.asOfMs ?? 0, 'an old copy keeps its age').to.be.at.most(old.asOfMs);
      await sleep(100);
    }
    expect(await storedReading(b, sku_id), 'a copy without a time to live').to.equal(null);
  });

  it('overwrites values that every gateway rejects', async () => {
    const sku_id = fresh('sku');
    await writeUntilRead(a, b, sku_id);
    const [, , ...others] = String(await server.ask('GET', keyOf(sku_id))).split('|');
    for (const words of [
      ['SET', ['1', String(Number.MAX_SAFE_INTEGER), ...others].join('|')],
      ['RPUSH', 'x'],
      ['SET', 'x'],
    ]) {
      await server.ask('DEL', keyOf(sku_id));
      await server.ask(words[0] ?? '', keyOf(sku_id), words[1] ?? '');
      expect(await storedReading(b, sku_id)).to.equal(null);
      await writeUntilRead(b, a, sku_id, { version: 2 });
    }
  });

  it('begins a new era where the present one is lost or invalid', async () => {
    const sku_id = fresh('sku');
    const { era } = new PartitionKeys(PREFIX, partitionOf(sku_id));
    for (const words of [['SET', era, 'nonsense'], ['RPUSH', era, 'x'], ['FLUSHALL']]) {
      await writeUntilRead(a, b, sku_id);
      await server.ask('DEL', era);
      await server.ask(...words);
      expect(await storedReading(b, sku_id)).to.equal(null);
    }
    await writeUntilRead(a, b, sku_id);
  });

  it('stores nothing without a secret, and rejects readings with another secret', async () => {
    const sku_id = fresh('sku');
    const [none, other] = await Promise.all([
      startRedisTier([server], { secretOf: () => null }),
      startRedisTier([server], { secretOf: () => Buffer.from('other') }),
    ]);
    await none.store([stockReadingOf(sku_id, { version: 2 })]);
    expect(await server.ask('EXISTS', keyOf(sku_id))).to.equal(0);
    await writeUntilRead(a, b, sku_id);
    expect([await storedReading(none, sku_id), await storedReading(other, sku_id)]).to.deep.equal([null, null]);
    expect(other.state().rejected).to.be.above(0);
  });

  it('answers in time while the server is frozen, and returns no late reading afterwards', async () => {
    const sku_id = fresh('sku');
    const noted = await writeUntilRead(a, b, sku_id);
    server.signal('SIGSTOP');
    const untilMs = performance.now() + 3_000;
    let slowest = 0;
    try {
      for (let time = 0; performance.now() < untilMs; time += 1) {
        const startedMs = performance.now();
        const failed = await b.read([sku_id], startedMs + 50).then(
          () => false,
          () => true,
        );
        expect(failed, 'a call to a frozen server fails').to.equal(true);
        if (time > 3) slowest = Math.max(slowest, performance.now() - startedMs);
        else
          expect(performance.now() - startedMs, 'the deadline is shorter than the bound of a command').to.be.below(
            COMMAND_MS - 50,
          );
        await b.store([stockReadingOf(sku_id, { version: 2 })]);
        await sleep(20);
      }
    } finally {
      server.signal('SIGCONT');
    }
    expect(slowest, 'no call waits for a frozen server').to.be.below(150);
    const late = await storedReading(b, sku_id);
    if (late?.version === 1) expect(late.asOfMs).to.be.at.most(noted.asOfMs);
    await writeUntilRead(a, b, sku_id, { version: 3 });
  });

  it('returns no reading after the server was killed, and returns readings again after a restart', async () => {
    const sku_id = fresh('sku');
    await writeUntilRead(a, b, sku_id);
    server.signal('SIGKILL');
    await eventually('the connection is lost', 5_000, () => !b.state().connected);
    const startedMs = performance.now();
    expect(await storedReading(b, sku_id)).to.equal(null);
    expect(performance.now() - startedMs).to.be.below(LATE_MS);
    await server.startAgain();
    await Promise.all([ready(a), ready(b)]);
    expect(await storedReading(b, sku_id)).to.equal(null);
    await writeUntilRead(a, b, sku_id);
  });

  describe('when its clock is set', () => {
    after(() => server.ask('DEL', 'skew'));

    for (const [way, beforeMs, afterMs] of [
      ['back', 1_500, 0],
      ['ahead', 0, 1_500],
    ] as const) {
      it(`${way}, returns no reading for two seconds, and older readings never with too low an age`, async () => {
        const sku_id = fresh('sku');
        await setClockAhead(server, beforeMs);
        const [c, d] = await Promise.all([
          startRedisTier([server], { isSkewed: true }),
          startRedisTier([server], { isSkewed: true }),
        ]);
        const noted = await writeUntilRead(c, d, sku_id);
        await setClockAhead(server, afterMs);
        const setMs = performance.now();
        while (performance.now() < setMs + 1_900) {
          await c.store([stockReadingOf(sku_id, { version: 2 })]);
          expect(await storedReading(d, sku_id)).to.equal(null);
          await sleep(50);
        }
        expect(d.state().steps).to.be.above(0);
        await writeUntilRead(c, d, fresh('sku'));
        expect((await storedReading(d, sku_id))?.asOfMs ?? 0).to.be.at.most(noted.asOfMs);
      });
    }

    it('before a gateway starts, returns no reading with too low an age', async () => {
      const sku_id = fresh('sku');
      await setClockAhead(server, 2_500);
      const writer = await startRedisTier([server], { isSkewed: true });
      const noted = await writeUntilRead(writer, writer, sku_id);
      await writer.stop();
      await setClockAhead(server, 0);
      const reader = await startRedisTier([server], { isSkewed: true });
      const untilMs = performance.now() + 4_000;
      while (performance.now() < untilMs) {
        expect((await storedReading(reader, sku_id))?.asOfMs ?? 0).to.be.at.most(noted.asOfMs);
        await sleep(50);
      }
      expect(await server.ask('EXISTS', keyOf(sku_id)), 'it was stored all the time').to.equal(1);
    });
  });
});

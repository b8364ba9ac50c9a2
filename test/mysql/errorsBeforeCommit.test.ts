import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { expect } from 'chai';
import type { Deduct } from '../../src/core/operation.ts';
import type { DeductOutcome } from '../../src/core/outcome.ts';
import { BatchingEngine } from '../../src/mysql/batching/batchingEngine.ts';
import { CommitUnanswered } from '../../src/mysql/connection/failures.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { applyBatch, partValues } from '../../src/mysql/sql/batch/applyBatch.ts';
import { TextbookEngine } from '../../src/mysql/textbook/textbookEngine.ts';
import { openShards } from '../support/engines/engines.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { commits, packetLength, commitReplyOf } from '../support/wire/packets.ts';

/** For a busy machine. */
const WAIT_MS = 10_000;
/** Shards refuse a deadline that is more than 5 s ahead. */
const UNTIL_MS = 4_000;
/** Errors that the code does not name. Most come from the server only before COMMIT, and some also at COMMIT. */
const NUMBERS = [1021, 1053, 1114, 1180, 1264, 1290, 1792, 1836, 3032, 3101, 3819, 4031];

/** A TCP proxy that replaces the last OK of each packet that commits by an error, after the server has committed. */
async function errorInPlaceOfOk(
  target: { readonly host: string; readonly port: number },
  number: number,
): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    let isCommitting = false;
    let received: Buffer = Buffer.alloc(0);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => (client.destroy(), upstream.destroy()));
    }
    client.on('data', (packet: Buffer) => {
      isCommitting = commits(packet);
      upstream.write(packet);
    });
    upstream.on('data', (chunk: Buffer) => {
      if (!isCommitting) return void client.write(chunk);
      received = Buffer.concat([received, chunk]);
      if (commitReplyOf(received) === null) return;
      client.write(commitReplyOf(received) === 'ok' ? withError(received, number) : received);
      isCommitting = false;
      received = Buffer.alloc(0);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Replaces the last packet of an answer by an error. */
function withError(answer: Buffer, number: number): Buffer {
  const packets: Buffer[] = [];
  for (
    let rest = answer, length = packetLength(rest);
    length !== null && rest.length >= length;
    rest = rest.subarray(length), length = packetLength(rest)
  )
    packets.push(rest.subarray(0, length));
  const last = packets.pop() ?? Buffer.alloc(0);
  const body = Buffer.concat([
    Buffer.from([0xff, number & 0xff, number >> 8]),
    Buffer.from('#HY000an error instead of OK'),
  ]);
  const head = Buffer.from([body.length, 0, 0, last[3] ?? 0]);
  return Buffer.concat([...packets, head, body]);
}

describe('a server error', () => {
  let own: OwnShards;
  let shards: Shard[];
  before(async () => {
    own = await ownShards({ count: 1, migrated: true });
    shards = openShards({ shards: await own.load(), initialShards: 1 });
    await Promise.all(shards.map(({ tried }) => tried));
  });
  after(async () => {
    for (const { pool } of shards) pool.close();
    await own.drop();
  });

  const opened = async (): Promise<string> => {
    const sku_id = fresh('error');
    await new TextbookEngine(shards).apply(
      0,
      [{ kind: 'open', sku_id, leaved_amount: 10 }],
      performance.now() + WAIT_MS,
    );
    return sku_id;
  };
  const deduction = (sku_id: string, quantity = 1): Deduct => ({
    kind: 'deduct',
    order_id: fresh('order'),
    lines: [{ sku_id, order_detail_id: fresh('detail'), quantity }],
  });
  const left = async (sku_id: string): Promise<number> =>
    (await own.query(0, `SELECT leaved_amount FROM stock WHERE sku_id = '${sku_id}'`))[0]?.['leaved_amount'] as number;
  const apply = async (engine: BatchingEngine | TextbookEngine, operation: Deduct): Promise<DeductOutcome> => {
    const [outcome] = await engine.apply(0, [operation], performance.now() + WAIT_MS);
    return outcome ?? expect.fail('no outcome');
  };
  const engines = {
    batching: (on: readonly Shard[]) => new BatchingEngine(on),
    textbook: (on: readonly Shard[]) => new TextbookEngine(on),
  };

  for (const [name, engineOf] of Object.entries(engines)) {
    for (const number of NUMBERS) {
      it(`before COMMIT is answered at once with not_done, without a read: ${number}, ${name}`, async () => {
        const [bad, good] = [await opened(), await opened()];
        await own.query(
          0,
          `CREATE TRIGGER fails BEFORE INSERT ON flow FOR EACH ROW IF NEW.sku_id = '${bad}' THEN
           SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = ${number}, MESSAGE_TEXT = 'not this one'; END IF`,
        );
        try {
          const outcome = await apply(engineOf(shards), deduction(bad));
          expect(outcome).to.deep.include({ is: 'not_done' });
          // After a read the reason would be "its batch was undone".
          expect('reason' in outcome ? outcome.reason : '').to.equal(`server error ${number}: not this one`);
          expect((await apply(engineOf(shards), deduction(good))).is).to.equal('deducted');
        } finally {
          await own.query(0, 'DROP TRIGGER fails');
        }
        expect((await apply(engineOf(shards), deduction(bad))).is).to.equal('deducted');
        expect([await left(bad), await left(good)]).to.deep.equal([9, 9]);
      });
    }

    it(`before COMMIT is answered at once with not_done: a violated CHECK, ${name}`, async () => {
      const sku_id = await opened();
      await own.query(0, 'ALTER TABLE flow ADD CONSTRAINT small CHECK (quantity < 3)');
      try {
        const outcome = await apply(engineOf(shards), deduction(sku_id, 3));
        expect('reason' in outcome ? outcome.reason : outcome.is).to.match(/^server error (3819|4025): /);
      } finally {
        await own.query(0, 'ALTER TABLE flow DROP CONSTRAINT small');
      }
      expect(await left(sku_id)).to.equal(10);
    });

    for (const number of [1053, 1180, 1213, 3101]) {
      it(`in place of the answer to COMMIT proves nothing, so the outcome is read: ${number}, ${name}`, async () => {
        const [address] = (await own.load()).map((shard) => shard.address);
        if (address === undefined) throw new Error('the shards file names no shard');
        const sku_id = await opened();
        const proxy = await errorInPlaceOfOk(address, number);
        const behind = openShards({
          shards: (await own.load()).map((shard) => ({ ...shard, address: { ...shard.address, port: proxy.port } })),
          initialShards: 1,
        });
        try {
          await Promise.all(behind.map(({ tried }) => tried));
          expect((await apply(engineOf(behind), deduction(sku_id))).is).to.equal('deducted');
          expect(await left(sku_id)).to.equal(9);
        } finally {
          for (const { pool } of behind) pool.close();
          proxy.close();
        }
      });
    }
  }

  for (const number of [1053, 1213, 2013]) {
    it(`in place of the answer to COMMIT proves nothing after a lock that is not waited for: ${number}`, async () => {
      const [address] = (await own.load()).map((shard) => shard.address);
      if (address === undefined) throw new Error('the shards file names no shard');
      const sku_id = await opened();
      const proxy = await errorInPlaceOfOk(address, number);
      const [behind] = openShards({
        shards: (await own.load()).map((shard) => ({ ...shard, address: { ...shard.address, port: proxy.port } })),
        initialShards: 1,
      });
      try {
        if (behind === undefined) throw new Error('no shard is open');
        await behind.tried;
        const untilMs = performance.now() + UNTIL_MS;
        const flow = {
          ...{ sku_id, order_detail_id: 'd', order_id: 'o', attempt: 0, quantity: 1, returned: 0 },
          ...{ status: 'deducted' as const, sub_row: 0 },
        };
        const values = partValues(behind.clock.latest(untilMs), [], {
          ...{ stockRows: [], returns: [], adjustments: [], transfers: [], completedHolds: [], records: [] },
          flows: [{ was: null, is: flow }],
        });
        const failure: unknown = await behind.pool
          .lend(untilMs, (connection) => applyBatch(connection, [{ schema: address.schema, values }], untilMs, sku_id))
          .catch((error: unknown) => error);
        expect(failure).to.be.instanceOf(CommitUnanswered);
        expect(await own.query(0, `SELECT quantity FROM flow WHERE sku_id = '${sku_id}'`)).to.deep.equal([
          { quantity: 1 },
        ]);
      } finally {
        behind?.pool.close();
        proxy.close();
      }
    });
  }

  it('that only a proxy sends proves nothing, wherever it arrives', async () => {
    const sku_id = await opened();
    await own.query(
      0,
      `CREATE TRIGGER fails BEFORE INSERT ON flow FOR EACH ROW
       SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 2013, MESSAGE_TEXT = 'lost'`,
    );
    try {
      const outcome = await apply(new BatchingEngine(shards), deduction(sku_id));
      expect(outcome).to.deep.equal({ is: 'not_done', reason: 'its batch was undone' });
    } finally {
      await own.query(0, 'DROP TRIGGER fails');
    }
  });
});

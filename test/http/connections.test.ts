import { connect } from 'node:net';
import { expect } from 'chai';
import { SlotMap } from '../../src/core/slots.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { exchange } from '../support/gateway/rawHttp.ts';
import { expectProblem } from '../support/engines/refusal.ts';
import { sideSession } from '../support/rows/sideSession.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';

describe('connections', () => {
  let gateway: TestGateway;
  let sku: string;

  before(async () => {
    gateway = await startTestGateway();
  });
  after(() => gateway.stop());
  beforeEach(async () => {
    sku = fresh('connections');
    await gateway.openSku(sku, 10);
  });

  const head = (method: string, path: string, ...more: string[]): string =>
    [`${method} ${path} HTTP/1.1`, 'Host: test', 'Content-Type: application/json', ...more].join('\r\n') + '\r\n\r\n';
  const deduction = (order_detail_id: string): string => {
    const body = JSON.stringify({ order_id: 'order', lines: [{ order_detail_id, sku_id: sku, quantity: 1 }] });
    return head('POST', '/v1/deductions', `Content-Length: ${body.length}`) + body;
  };
  const left = async (): Promise<unknown> => (await gateway.get(`/v1/skus/${sku}`)).body.leaved_amount;

  it('answers a request with its real outcome, even if malformed bytes follow it', async () => {
    const broken = [
      'garbage\r\n\r\n',
      head('POST', '/v1/deductions', 'Transfer-Encoding: chunked') + 'zz\r\n',
      `GET /${'x'.repeat(9_000)} HTTP/1.1\r\n`,
    ];
    for (const [index, bytes] of broken.entries()) {
      const { answers, closedAfterMs } = await exchange(gateway.publicUrl, deduction(`detail ${index}`) + bytes);
      expect(answers.map(({ status }) => status)).to.deep.equal([201]);
      expect(closedAfterMs).not.to.equal(null);
    }
    expect(await left()).to.equal(7);
  });

  it('answers all complete requests of a connection before it closes the connection', async () => {
    const { answers } = await exchange(
      gateway.publicUrl,
      `${deduction('a')}${deduction('b')}${deduction('a')}garbage\r\n\r\n`,
    );
    expect(answers).to.have.length(3);
    expect(answers.map(({ status }) => status).filter((status) => status === 201)).to.have.length(2);
    expect(await left()).to.equal(8);
  });

  it('rejects malformed bytes after an answer', async () => {
    const { answers } = await exchange(gateway.publicUrl, head('GET', `/v1/skus/${sku}`), {
      trickle: { byte: 'garbage\r\n\r\n', everyMs: 300 },
    });
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 400]);
  });

  it('completes a deduction although its caller closes the connection', async () => {
    const holder = await sideSession(new SlotMap(16).shardOf(sku));
    await holder.beginTransaction();
    await holder.query('SELECT * FROM stock WHERE sku_id = ? FOR UPDATE', [Buffer.from(sku)]);
    const { answers } = await exchange(gateway.publicUrl, deduction('a'), { waitMs: 400 });
    expect(answers).to.deep.equal([]);
    await holder.rollback();
    await holder.end();
    await eventually('it is done', 3_000, async () => (await left()) === 9);
    expect((await gateway.get(`/v1/deductions/a?sku_id=${sku}`)).body).to.include({ status: 'deducted' });
  });

  it('executes nothing of a body that is too large', async () => {
    const orders = deduction('a').repeat(5_000);
    const large = head('POST', '/v1/deductions', `Content-Length: ${orders.length}`) + orders;
    const { answers } = await exchange(gateway.publicUrl, large, { waitMs: 1_000 });
    expect(answers.map(({ status }) => status)).to.deep.equal([413]);
    expect(await left()).to.equal(10);
  });

  it('are closed when headers or body are too slow, even if the client keeps its side open', async function () {
    // It waits for more than ten seconds.
    if (!LONG) this.skip();
    const body = `${head('POST', '/v1/deductions', 'Content-Length: 100')}{`;
    const held = Promise.all(
      ['garbage\r\n\r\n', 'GET /v1/skus/a HTTP/1.1\r\nHo', `GET /${'x'.repeat(9_000)} HTTP/1.1\r\n`].map(heldOpen),
    );
    const slow = ['', 'GET', 'GET /v1/skus/a HTTP/1.1\r\nHo', body].map((bytes) =>
      exchange(gateway.publicUrl, bytes, { waitMs: 15_000 }),
    );
    const trickled = ['GET /v1/skus/a HTTP/1.1\r\nA: ', body].map((bytes) =>
      exchange(gateway.publicUrl, bytes, { waitMs: 15_000, trickle: { byte: 'x', everyMs: 500 } }),
    );
    for (const { answers, closedAfterMs } of await Promise.all([...slow, ...trickled])) {
      expect(closedAfterMs).to.be.within(4_000, 13_000);
      const [answer] = answers;
      if (answer === undefined) throw new Error('no answer');
      expectProblem(answer, 408);
    }
    expect(await held).to.deep.equal([false, false, false]);
  });

  /** Never ends its own side. @returns whether the gateway keeps the connection for 3.5 s after it ended its side */
  function heldOpen(bytes: string): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect({ port: Number(new URL(gateway.publicUrl).port), host: '127.0.0.1', allowHalfOpen: true });
      // A closed socket answers these bytes with a reset, which shows as an error here.
      const probe = (): void => void socket.write('x');
      const finish = (held: boolean): void => {
        socket.destroy();
        resolve(held);
      };
      socket.once('error', () => finish(false));
      socket.on('end', () => {
        setTimeout(probe, 3_000);
        setTimeout(probe, 3_100);
        setTimeout(() => finish(true), 3_500);
      });
      socket.resume();
      socket.write(bytes);
    });
  }
});

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { sellAll } from '../../../scripts/demo/shops.ts';
import { dayRows } from '../../../scripts/demo/tables.ts';
import type { Cart } from '../../../scripts/replay/carts.ts';
import { Sender } from '../../../scripts/replay/sender.ts';
import { httpClient } from '../../../scripts/support/httpClient.ts';
import { fresh, startTestGateway, type TestGateway } from '../../support/gateway/gateway.ts';
import { temporaryFolder, type TemporaryFolder } from '../../support/run/temporary.ts';
import { cellsOf, REPLAY_TOKENS, runReplay, SHORT_FILE, writeOrders } from '../../support/systems/replayFiles.ts';

const RUN_MS = 240_000;

/** A cell of latencies. @throws when it is none, or its values do not rise */
function latenciesIn(cell = ''): { count: number; p50Ms: number; maxMs: number } {
  const [, p50Ms, p99Ms, maxMs, count] = (/^([\d.]+) \/ ([\d.]+) \/ ([\d.]+) ms \((\d+)\)$/.exec(cell) ?? []).map(
    Number,
  );
  if (p50Ms === undefined || p99Ms === undefined || maxMs === undefined || count === undefined)
    throw new Error(`not a cell of latencies: ${cell}`);
  if (!(0 < p50Ms && p50Ms <= p99Ms && p99Ms <= maxMs)) throw new Error(`the latencies do not rise: ${cell}`);
  return { count, p50Ms, maxMs };
}

describe('the figures of orders', () => {
  let folder: TemporaryFolder;
  let gateway: TestGateway;
  before(async () => {
    folder = temporaryFolder();
    gateway = await startTestGateway({ ...REPLAY_TOKENS, HOST: '127.0.0.1', ADMIN_HOST: '127.0.0.1' });
  });
  after(async () => {
    await gateway?.stop();
    folder?.remove();
  });

  it('of a replay are rates, and latencies of orders of one line, of several lines and of returns', async () => {
    const { code, stdout, stderr } = await runReplay(gateway, writeOrders(folder, SHORT_FILE), '--twice');
    expect(code, stderr).to.equal(0);
    const countsOf = (what: string): number[] =>
      cellsOf(stdout, `latency p50 / p99 / max (count), ${what}`).map((cell) => latenciesIn(cell).count);
    expect(countsOf('orders of one line')).to.deep.equal([2, 2]);
    expect(countsOf('orders of several lines')).to.deep.equal([1, 1]);
    expect(countsOf('all orders')).to.deep.equal([3, 3]);
    expect(countsOf('returns')).to.deep.equal([7, 7]);
    expect(stdout).to.match(/time from the first attempt to the final answer. Retries .* are part of it/);
    const [orders, lines] = ['orders per second', 'lines per second'].map((what) => cellsOf(stdout, what).map(Number));
    for (const pass of [0, 1]) {
      expect(orders?.[pass]).to.be.greaterThan(0);
      // Three orders of five lines together; the printed values are rounded.
      expect(lines?.[pass]).to.be.closeTo(((orders?.[pass] ?? 0) * 5) / 3, 0.2);
    }
  }).timeout(RUN_MS);

  it('are those of the first carts with --carts', async () => {
    const { code, stdout, stderr } = await runReplay(gateway, writeOrders(folder, SHORT_FILE), '--carts', '1');
    expect(code, stderr).to.equal(0);
    expect(cellsOf(stdout, 'latency p50 / p99 / max (count), orders of one line')).to.deep.equal(['none (0)']);
    expect(cellsOf(stdout, 'latency p50 / p99 / max (count), returns')).to.deep.equal(['none (0)']);
    expect([cellsOf(stdout, 'lines'), cellsOf(stdout, 'carts sold')]).to.deep.equal([['3'], ['1']]);
    expect(stdout).to.match(/ 4 clients, 3 rows\n/);
  }).timeout(RUN_MS);

  it('of the demo are those of the first answers, sold or refused', async () => {
    const name = fresh('demo');
    const token = REPLAY_TOKENS.STOCKGATE_ADMIN_TOKENS;
    for (const sku of ['a', 'b']) {
      const body = { leaved_amount: 2 };
      const opened = await gateway.adminPut(`/v1/skus/${name}-${sku}`, body, { Authorization: `Bearer ${token}` });
      expect(opened.status).to.equal(201);
    }
    const carts = ['a', 'ab', 'b', 'ab'].map((skus, index): Cart => {
      const order_id = `${name}-${index}`;
      const lines = [...skus].map((sku, line) => ({
        sku_id: `${name}-${sku}`,
        order_detail_id: `${order_id}-${line}`,
        quantity: 1,
      }));
      return { order_id, lines };
    });
    const sender = new Sender({
      client: gateway.client,
      gateways: [gateway.publicUrl],
      token: REPLAY_TOKENS.STOCKGATE_TOKENS,
    });
    const ledger = await sellAll(carts, { sender, concurrency: 1, replayEvery: 1, onAnswered: () => undefined });
    expect([ledger.sold.length, ledger.refused.length, ledger.replayed]).to.deep.equal([3, 1, 3]);
    const rows = new Map(dayRows({ carts, ledger, retryCount: 0, seconds: 2, leftovers: new Map() }));
    expect([rows.get('orders per second'), rows.get('lines per second')]).to.deep.equal(['2.0', '3.0']);
    const countOf = (what: string): number => latenciesIn(rows.get(`latency p50 / p99 / max (count), ${what}`)).count;
    expect(['orders of one line', 'orders of several lines', 'all orders'].map(countOf)).to.deep.equal([2, 2, 4]);
  });

  it('count a retry and the pause before it', async () => {
    const statuses = [503, 201];
    const server = createServer((_, response) => void response.writeHead(statuses.shift() ?? 500).end('{}'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = httpClient(1);
    try {
      const { port } = server.address() as AddressInfo;
      const sender = new Sender({ client, gateways: [`http://127.0.0.1:${port}`] });
      const { status, latencyMs } = await sender.untilFinalAnswer({ path: '/', body: {}, what: 'an order' }, 0);
      expect([status, sender.attemptCount]).to.deep.equal([201, 2]);
      // The first pause is 100 ms. A timer may fire up to a millisecond early.
      expect(latencyMs).to.be.greaterThan(98);
    } finally {
      client.close();
      server.close();
    }
  });
});

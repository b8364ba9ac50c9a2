import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { freePort } from '../../../scripts/cluster/port.ts';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import type { ServicePorts } from '../../../src/service/servicePorts.ts';
import { tracedPorts } from '../../../src/service/tracedPorts.ts';
import { IN_TRANSACTION, JOINTLY, WITH_ATTEMPTS } from '../../support/carts/protocols.ts';
import type { Protocol } from '../../support/carts/protocols.ts';
import { captureLog } from '../../support/gateway/capturedLog.ts';
import { startCollector, takeAll } from '../../support/wire/collector.ts';
import type { Behaviour, Collector, ReceivedSpan } from '../../support/wire/collector.ts';
import { addressesIn, startCommand } from '../../support/run/command.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh, startTestGateway } from '../../support/gateway/gateway.ts';
import type { TestGateway } from '../../support/gateway/gateway.ts';
import { HOSTILE } from '../../support/wire/hostileCollectors.ts';
import { stack } from '../../support/run/setup.ts';
import { skuOn } from '../../support/engines/traffic.ts';

const TOKEN = 'token-of-a-shop';
const AUTHORIZATION = { authorization: `Bearer ${TOKEN}` };
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const SAMPLED = `00-${TRACE}-${CALLER}-01`;
const NOT_SAMPLED = `00-${TRACE}-${CALLER}-00`;
const HELD_TWICE = ['hold: held', 'hold: held', 'settle: applied', 'settle: applied'];
const SERVER = 2;
const CLIENT = 3;

describe('traces', () => {
  const { log, lines } = captureLog('debug');
  const started: { stop(): Promise<void> }[] = [];
  beforeEach(() => void lines.splice(0));
  afterEach(async () => {
    for (const part of started.splice(0).reverse()) await part.stop();
  });

  const collect = async (behaviour?: Behaviour): Promise<Collector> => {
    const collector = await startCollector(behaviour);
    started.push(collector);
    return collector;
  };
  const open = async (
    endpoint: string,
    more: NodeJS.ProcessEnv = {},
    { around }: Protocol = IN_TRANSACTION,
  ): Promise<TestGateway> => {
    const gateway = await startTestGateway(
      { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, STOCKGATE_TOKENS: TOKEN, HOST: '127.0.0.1', ...more },
      stack(),
      log,
      (ports) => around(ports),
    );
    started.push(gateway);
    return gateway;
  };
  const order = (gateway: TestGateway, sku_ids: readonly string[], headers: Record<string, string> = {}) =>
    gateway.post(
      '/v1/deductions',
      {
        order_id: fresh('order'),
        lines: sku_ids.map((sku_id) => ({ sku_id, order_detail_id: fresh('detail'), quantity: 1 })),
      },
      { ...AUTHORIZATION, ...headers },
    );
  const isOf =
    (route: string) =>
    (span: ReceivedSpan): boolean =>
      span.name === route;
  const childrenOf = (collector: Collector, { spanId }: ReceivedSpan): ReceivedSpan[] =>
    collector.spans.filter(({ parentSpanId }) => parentSpanId === spanId);
  const losses = (): number => lines.filter(({ msg }) => msg === 'spans are lost').length;

  it('show a request, and below it its operations on shards', async () => {
    const collector = await collect();
    const gateway = await open(collector.url);
    const sku_id = skuOn(3, fresh('traced'));
    await gateway.openSku(sku_id, 5);
    expect((await order(gateway, [sku_id], { traceparent: SAMPLED, 'x-request-id': 'checkout-17' })).status).to.equal(
      201,
    );
    const span = await collector.find('the order', isOf('POST /v1/deductions'));
    expect(span).to.deep.include({ traceId: TRACE, parentSpanId: CALLER, kind: SERVER, isError: false });
    expect(span.attributes).to.deep.equal({
      'http.request.method': 'POST',
      'http.route': '/v1/deductions',
      'http.response.status_code': 201,
      'network.protocol.version': '1.1',
      'url.scheme': 'http',
      'stockgate.outcome': 'deducted',
      'stockgate.request_id': 'checkout-17',
    });
    expect(span.resource).to.include({ 'service.name': 'stockgate', 'process.pid': process.pid });
    const name = (await gateway.adminGet('/v1/shards')).body.shards[3].name as string;
    const [child, ...others] = childrenOf(collector, span);
    expect(others).to.deep.equal([]);
    expect(child).to.deep.include({ name: `deduct ${name}`, traceId: TRACE, kind: CLIENT, isError: false });
    expect(child?.attributes).to.deep.equal({
      'stockgate.operation': 'deduct',
      'stockgate.shard': name,
      'stockgate.ending': 'deducted',
    });
    expect([...collector.addresses]).to.deep.equal(['POST /v1/traces application/json']);
    expect(
      lines.filter(({ traceId }) => traceId === TRACE).map(({ msg, requestId }) => [msg, requestId]),
    ).to.deep.equal([['answered', 'checkout-17']]);
  });

  const ofCarts = [
    { protocol: JOINTLY, expected: ['deduct: deducted', 'deduct: deducted'] },
    { protocol: IN_TRANSACTION, expected: ['deduct: deducted', 'hold: held', 'settle: applied'] },
    {
      protocol: WITH_ATTEMPTS,
      expected: ['begin cart: begun', 'decide cart: judged', ...HELD_TWICE],
    },
  ];
  for (const { protocol, expected } of ofCarts) {
    it(`show every step of a cart and its shard, also the steps after the answer: ${protocol.name}`, async () => {
      const collector = await collect();
      const gateway = await open(collector.url, {}, protocol);
      const [first, second] = protocol.shards;
      const sku_ids = [skuOn(first, fresh('one')), skuOn(second, fresh('two'))];
      for (const sku_id of sku_ids) await gateway.openSku(sku_id, 5);
      expect((await order(gateway, sku_ids)).status).to.equal(201);
      const cart = await collector.find('the cart', isOf('POST /v1/deductions'));
      const steps = (): string[] =>
        childrenOf(collector, cart)
          .map(
            ({ attributes }) =>
              `${String(attributes['stockgate.operation'])}: ${String(attributes['stockgate.ending'])}`,
          )
          .sort();
      await eventually('all its steps are exported', 10_000, () => steps().length >= expected.length);
      expect(steps()).to.deep.equal(expected);
      const taking = childrenOf(collector, cart).filter(({ name }) => /^(hold|deduct)/.test(name));
      expect(new Set(taking.map(({ attributes }) => attributes['stockgate.shard'])).size).to.equal(2);
    });
  }

  it('contain no ids of orders, returns or SKUs, no paths and no tokens', async () => {
    const collector = await collect();
    const gateway = await open(collector.url);
    const sku_id = fresh('secret-goods');
    await gateway.openSku(sku_id, 5);
    const order_detail_id = fresh('secret-detail');
    const line = { sku_id, order_detail_id };
    const send = (path: string, body: unknown) => gateway.post(path, body, AUTHORIZATION);
    await send('/v1/deductions', { order_id: 'secret-order', lines: [{ ...line, quantity: 1 }] });
    await send('/v1/deductions', { order_id: 'secret-order', lines: [{ ...line, quantity: 'secret' }] });
    await send('/v1/returns', { return_id: 'secret-return', ...line, quantity: 1 });
    await send('/v1/cancellations', { order_id: 'secret-order', lines: [line] });
    for (const path of [
      `/v1/skus/${sku_id}`,
      `/v1/skus/${sku_id}/flows`,
      `/v1/deductions/${order_detail_id}?sku_id=${sku_id}`,
      '/secret/path?secret=1',
      '/%zz-secret',
    ])
      await gateway.get(path, AUTHORIZATION);
    await gateway.get('/v1/skus/refused', { authorization: 'Bearer secret-token' });
    await gateway.adminGet('/v1/shards', AUTHORIZATION);
    await collector.find('the last', isOf('GET /v1/shards'));
    const names = new Set(collector.spans.filter(({ kind }) => kind === SERVER).map(({ name }) => name));
    expect(names).to.include.keys('GET /v1/skus/:sku_id', 'POST /v1/returns', 'GET', 'PUT /v1/skus/:sku_id');
    expect(collector.bodies.join('\n')).to.not.contain('secret').and.not.contain(TOKEN).and.not.contain('Bearer');
  });

  it('are sampled at the configured ratio, unless the caller has decided', async () => {
    const collector = await collect();
    const none = await open(collector.url, { OTEL_TRACES_SAMPLER_ARG: '0' });
    const all = await open(`${collector.url}/`, { OTEL_TRACES_SAMPLER_ARG: '1' });
    await none.get('/v1/skus/none', AUTHORIZATION);
    await all.get('/v1/skus/none', { ...AUTHORIZATION, traceparent: NOT_SAMPLED });
    expect(
      lines.filter(({ traceId }) => traceId === TRACE),
      'the trace id is in the log anyway',
    ).to.have.length(1);
    await all.get('/v1/skus/none', { ...AUTHORIZATION, traceparent: 'nonsense' });
    await none.get('/v1/skus/none', { ...AUTHORIZATION, traceparent: SAMPLED });
    await collector.find('the last', ({ traceId, name }) => traceId === TRACE && name === 'GET /v1/skus/:sku_id');
    await sleep(1_500);
    const exported = collector.spans
      .filter(({ kind }) => kind === SERVER)
      .map(({ name, traceId, parentSpanId }) => [name, traceId === TRACE, parentSpanId]);
    expect(exported).to.deep.include.members([
      ['GET /v1/skus/:sku_id', false, null],
      ['GET /v1/skus/:sku_id', true, CALLER],
    ]);
    expect(exported).to.have.length(2);
  });

  it('leave out rejected requests, which metrics count anyway', async () => {
    const collector = await collect();
    const gateway = await open(collector.url, { STOCKGATE_RATE_PER_SECOND: '1', STOCKGATE_RATE_BURST: '2' });
    const ask = (path: string, headers: Record<string, string> = AUTHORIZATION) =>
      gateway.get(path, { traceparent: SAMPLED, ...headers });
    const strange = { authorization: 'Bearer of-a-stranger' };
    const unauthorized = [await ask('/v1/skus/none', strange), await ask('/v1/nothing', {})];
    expect(unauthorized.map(({ status }) => status)).to.deep.equal([401, 401]);
    expect((await ask('/%zz', strange)).status).to.equal(400);
    const answers = [];
    for (let count = 0; count < 30; count += 1) answers.push((await ask('/v1/skus/none')).status);
    const limited = answers.filter((status) => status === 429).length;
    expect(limited, String(answers)).to.be.above(10);
    const { text } = await gateway.adminGet('/metrics', AUTHORIZATION);
    const counted = (outcome: string): number =>
      Number(
        new RegExp(`^stockgate_requests_total\\{route="none",outcome="${outcome}"\\} (\\d+)$`, 'm').exec(text)?.[1],
      );
    expect([counted('unauthorized'), counted('rate_limited')]).to.deep.equal([2, limited]);
    await gateway.drain();
    const exported = collector.spans
      .filter(({ kind }) => kind === SERVER)
      .map(({ attributes }) => attributes['http.response.status_code']);
    expect(exported).to.have.members([...answers.filter((status) => status !== 429), 200]);
    expect(lines.filter(({ traceId }) => traceId === TRACE)).to.have.length(exported.length - 1);
  });

  it('are exported completely when a gateway drains', async () => {
    const collector = await collect();
    const gateway = await open(collector.url);
    await gateway.get('/v1/skus/none', AUTHORIZATION);
    await gateway.drain();
    expect(collector.spans.map(({ name }) => name)).to.include('GET /v1/skus/:sku_id');
  });

  for (const [what, behaviour] of HOSTILE) {
    it(`delay no request and not the end of the gateway while their collector ${what}`, async () => {
      const url = behaviour === null ? `http://127.0.0.1:${await freePort()}` : (await collect(behaviour)).url;
      const gateway = await open(url);
      const sku_id = fresh('not-exported');
      await gateway.openSku(sku_id, 10_000);
      for (let round = 0; round < 10; round += 1) {
        const answers = await Promise.all(Array.from({ length: 100 }, () => order(gateway, [sku_id])));
        expect(answers.every(({ status }) => status === 201)).to.equal(true);
        await sleep(150);
      }
      const beganMs = performance.now();
      await gateway.drain();
      expect(performance.now() - beganMs).to.be.below(5_000);
      expect(losses()).to.be.below(3);
      expect(JSON.stringify(lines)).to.not.contain('no'.repeat(500));
    });
  }

  it('are reported in the log at intervals when they are lost', async () => {
    await open((await collect((_request, response) => void response.writeHead(400).end('these are none'))).url).then(
      (gateway) => gateway.get('/v1/skus/none', AUTHORIZATION),
    );
    await eventually('the loss is logged', 10_000, () => losses() > 0);
    expect(losses()).to.equal(1);
  });

  it('show which shard did not complete its operation', async () => {
    const endings: string[] = [];
    const engineOf = (apply: () => Promise<unknown>): Pick<ServicePorts, 'engine'> => ({
      engine: { apply } as unknown as StockEngine,
    });
    const ask = async (apply: () => Promise<unknown>): Promise<unknown> => {
      const parts = tracedPorts({ ...engineOf(apply), reader: {}, carts: {}, records: {} } as unknown as ServicePorts, {
        begin: (operation, shard) => (ending) => void endings.push(`${operation} ${shard}: ${ending}`),
      });
      return parts.engine
        .apply(7, [{ kind: 'open', sku_id: 'a', leaved_amount: 1 }], 0)
        .catch((error: unknown) => error);
    };
    await ask(() => Promise.resolve([{ is: 'applied' }, { is: 'not_done' }]));
    await ask(() => Promise.resolve([{ is: 'not_done' }, { is: 'unknown' }]));
    expect(await ask(() => Promise.reject(new Error('broken')))).to.be.instanceOf(Error);
    expect(endings).to.deep.equal(['open 7: not_done', 'open 7: unknown', 'open 7: fault']);
  });

  it('load no module where no collector is configured', async () => {
    const watch = `export async function resolve(what, context, next) {
      if (what.includes('opentelemetry')) process._rawDebug('loads ' + what);
      return next(what, context);
    }`;
    const inline = (source: string): string => `data:text/javascript,${encodeURIComponent(source)}`;
    const hook = inline(`import { register } from 'node:module'; register(${JSON.stringify(inline(watch))});`);
    const loadedWith = async (more: NodeJS.ProcessEnv): Promise<number> => {
      const gateway = startCommand(process.execPath, ['--import', 'tsx', '--import', hook, 'src/main.ts'], {
        ...stack().environment,
        PORT: '0',
        ADMIN_PORT: '0',
        STOCKGATE_LOG_LEVEL: 'silent',
        ...more,
      });
      addressesIn(await gateway.line());
      gateway.signal('SIGTERM');
      const { code, stderr } = await gateway.finished;
      expect(code, stderr).to.equal(0);
      return stderr.match(/^loads /gm)?.length ?? 0;
    };
    expect(await loadedWith({})).to.equal(0);
    expect(await loadedWith({ OTEL_EXPORTER_OTLP_ENDPOINT: (await collect(takeAll)).url })).to.be.above(0);
  });
});

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { ownPath } from '../../../scripts/cluster/ownership.ts';
import { freePort } from '../../../scripts/cluster/port.ts';
import { run } from '../../../scripts/cluster/run.ts';
import { supervise } from '../../../scripts/cluster/supervise.ts';
import type { Supervised } from '../../../scripts/cluster/supervise.ts';
import { findTool, PROMETHEUS, PROMTOOL } from '../../../scripts/cluster/install/tools.ts';
import type { Command, Tool } from '../../../scripts/cluster/install/tools.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh, startTestGateway } from '../../support/gateway/gateway.ts';
import type { TestGateway } from '../../support/gateway/gateway.ts';
import type { OwnShards } from '../../support/rows/ownShards.ts';
import { precheckedShards } from '../../support/systems/precheckGateway.ts';

const DEPLOY = projectPath('deploy/prometheus');
const SCRAPE = '1s';
const SETTINGS = { STOCKGATE_PRECHECK: 'memory', STOCKGATE_RECONCILIATION_ROUND_SECONDS: '2' };
/** The first run fetches Prometheus from the packages of the machine's release. */
const FETCH_MS = 300_000;
const WAIT_MS = 60_000;
const STOP_MS = 5_000;

interface Answer {
  readonly status: string;
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value: readonly [number, string];
    }[];
  };
}

async function toolOf(tool: Tool): Promise<Command> {
  const command = await findTool(tool, '.local', (line) => console.error(line));
  if (command === null) throw new Error(`there is no ${tool.program} to test with`);
  return command;
}

describe('Prometheus', function () {
  this.timeout(FETCH_MS);
  const directory = ownPath(join(resolve('.local'), 'runs', 'prometheus'));
  let shards: OwnShards;
  let gateways: TestGateway[] = [];
  let server: Supervised;
  let url: string;

  before(async () => {
    shards = await precheckedShards(4);
    gateways = await Promise.all([0, 1].map(() => startTestGateway(SETTINGS, shards)));
    const [program, ...before] = await toolOf(PROMETHEUS);
    mkdirSync(directory, { recursive: true });
    const targets = gateways.map(({ adminUrl }) => `'${new URL(adminUrl).host}'`).join(', ');
    const config = readFileSync(join(DEPLOY, 'prometheus.yml'), 'utf8')
      .replaceAll(/interval: \d+s/g, `interval: ${SCRAPE}`)
      .replace("'gateway:8081'", targets);
    writeFileSync(join(directory, 'prometheus.yml'), config.replace('rules.yml', join(DEPLOY, 'rules.yml')));
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    server = supervise({
      command: program,
      arguments: [
        ...before,
        `--config.file=${directory}/prometheus.yml`,
        `--storage.tsdb.path=${directory}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=error',
      ],
      stdout: 'ignore',
    });
    await eventually(
      'both gateways are scraped',
      WAIT_MS,
      async () => (await query('sum (up{job="stockgate"})').catch(() => null))?.data.result[0]?.value[1] === '2',
    );
  });
  after(async () => {
    await server?.stop(STOP_MS);
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await shards.drop();
    rmSync(directory, { recursive: true, force: true });
  });

  const ask = async <T>(path: string): Promise<T> => (await (await fetch(url + path)).json()) as T;
  const query = (expression: string): Promise<Answer> => ask(`/api/v1/query?query=${encodeURIComponent(expression)}`);
  const tool = async (...args: readonly string[]): Promise<string> => {
    const [program, ...before] = await toolOf(PROMTOOL);
    return (await run({ command: program, arguments: [...before, ...args], timeoutMs: WAIT_MS })).stdout;
  };
  const traffic = async (): Promise<void> => {
    const [first, second] = gateways;
    const sku_id = fresh('scraped');
    await first?.openSku(sku_id, 1);
    for (const order_detail_id of ['sold', 'sold', 'refused'])
      await second?.deduct({ sku_id, order_detail_id, quantity: 1 });
    await first?.adminPost('/v1/reconciliations', {});
  };

  it('accepts our rules, and they raise the expected alerts', async () => {
    expect(await tool('check', 'rules', join(DEPLOY, 'rules.yml'))).to.match(/SUCCESS: \d+ rules found/);
    await tool('test', 'rules', join(DEPLOY, 'rules.test.yml'));
    await eventually('all rules were evaluated', WAIT_MS, async () => {
      const { data } = await ask<{ data: { groups: { rules: { health: string }[] }[] } }>('/api/v1/rules');
      const rules = data.groups.flatMap(({ rules: ofGroup }) => ofGroup);
      return rules.length > 10 && rules.every(({ health }) => health === 'ok');
    });
  });

  it('has data for every query of the dashboard, from running gateways', async () => {
    const { panels } = JSON.parse(readFileSync(projectPath('deploy/grafana/stockgate.json'), 'utf8')) as {
      panels: { title: string; targets: { expr: string }[] }[];
    };
    const open = new Map(panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [expr, title])));
    expect(open.size).to.be.above(20);
    await eventually('all queries have data', WAIT_MS, async () => {
      await traffic();
      for (const expression of open.keys()) {
        const { status, data } = await query(expression);
        expect(status, expression).to.equal('success');
        if (data.result.length > 0) open.delete(expression);
      }
      return open.size === 0;
    }).catch((error: unknown) => {
      throw new Error(`no data for ${[...open.keys()].join('; ')}`, { cause: error });
    });
  });

  it('returns the same number of deductions as the gateways count', async () => {
    const sold = 'sum (stockgate_requests_total{route="POST /v1/deductions",outcome="deducted"})';
    const sku_id = fresh('counted');
    await gateways[0]?.openSku(sku_id, 100);
    for (let unit = 0; unit < 7; unit += 1)
      expect((await gateways[unit % 2]?.deduct({ sku_id, order_detail_id: `d${unit}`, quantity: 1 }))?.status).to.equal(
        201,
      );
    const counted = await Promise.all(
      gateways.map(async (gateway) =>
        Number(
          /^stockgate_requests_total\{route="POST \/v1\/deductions",outcome="deducted"\} (\d+)/m.exec(
            (await gateway.adminGet('/metrics')).text,
          )?.[1] ?? 0,
        ),
      ),
    );
    const all = counted.reduce((sum, count) => sum + count, 0);
    expect(all).to.be.at.least(7);
    await eventually(
      'it returns all deductions',
      WAIT_MS,
      async () => Number((await query(sold)).data.result[0]?.value[1]) === all,
    );
    expect(JSON.stringify((await query('{__name__=~"stockgate_.*"}')).data), 'no series names a SKU').to.not.contain(
      sku_id,
    );
  });
});

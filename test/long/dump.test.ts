import { openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { supervise } from '../../scripts/cluster/supervise.ts';
import { findTool, MYSQL, MYSQLDUMP } from '../../scripts/cluster/install/tools.ts';
import type { Tool } from '../../scripts/cluster/install/tools.ts';
import { runFile } from '../support/run/command.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { stack } from '../support/run/setup.ts';
import { temporaryFolder } from '../support/run/temporary.ts';
import { skuOn } from '../support/engines/traffic.ts';

const OWN = 3;
const CLIENTS = 8;
const SELLING_MS = 6_000;
const WAIT_MS = 30_000;
/** Longer than the time between two advances of a shard's watermark and its record on the other shards. */
const ADVANCED_MS = 3_000;
const TIMEOUT_MS = 600_000;

/** A `mysqldump` of one shard, made while it sells, and loaded while the others sell. */
describe('a shard restored from a dump', function () {
  this.timeout(TIMEOUT_MS);
  const folder = temporaryFolder();
  let own: OwnShards | null = null;
  let gateway: TestGateway | null = null;
  const books: string[] = [];
  let skus: string[] = [];

  const theGateway = (): TestGateway => gateway ?? expect.fail('there is no gateway');
  const shards = (): OwnShards => own ?? expect.fail('there are no shards');
  const client = async (tool: Tool, args: readonly string[], file: string, is: 'read' | 'written'): Promise<void> => {
    const [command, ...first] =
      (await findTool(tool, '.local', (line) => console.error(line))) ?? expect.fail(`no ${tool.program}`);
    const { host, port, user, password, schema } = (await shards().load())[0]?.address ?? expect.fail('no shard');
    const login = [`--host=${host}`, `--port=${port}`, `--user=${user}`, `--get-server-public-key`];
    const descriptor = openSync(file, is === 'read' ? 'r' : 'w');
    const { exited } = supervise({
      command,
      arguments: [...first, ...login, ...args, schema],
      environment: { ...process.env, MYSQL_PWD: password },
      ...(is === 'read' ? { stdin: descriptor, stdout: 'inherit' as const } : { stdout: descriptor }),
      stderr: 'inherit',
    });
    expect((await exited).code).to.equal(0);
  };
  /** Sells orders of one line and carts over two shards until the signal. @returns the number of answers by status */
  const sell = async (name: string, until: AbortSignal): Promise<Map<number, number>> => {
    const answers = new Map<number, number>();
    await Promise.all(
      Array.from({ length: CLIENTS }, async (_, seller) => {
        for (let number = 0; !until.aborted; number += 1) {
          const order_id = `${name}-${seller}-${number}`;
          const lines = (number % 4 === 0 ? [0, 1] : [number % OWN]).map((shard, place) => ({
            sku_id: skus[shard] ?? '',
            order_detail_id: `${order_id}-${place}`,
            quantity: 1,
          }));
          const { status } = await theGateway().post('/v1/deductions', { order_id, lines });
          answers.set(status, (answers.get(status) ?? 0) + 1);
          if (status === 201)
            books.push(...lines.map((line) => `${order_id},${line.sku_id},${line.order_detail_id},${line.quantity}`));
        }
      }),
    );
    return answers;
  };
  const statesOf = async (): Promise<string> =>
    String(((await theGateway().adminGet('/v1/shards')).body?.shards as { state: string }[]).map(({ state }) => state));

  before(async function () {
    if (/mariadb/i.test(stack().cluster.product)) this.skip();
    own = await ownShards({ count: OWN, migrated: true });
    gateway = await startTestGateway({}, own);
    skus = Array.from({ length: OWN }, (_, shard) => skuOn(shard, fresh('of a dump'), OWN));
    for (const sku_id of skus) await gateway.openSku(sku_id, 1_000_000);
  });
  after(async () => {
    await gateway?.stop();
    await own?.drop();
    folder.remove();
  });

  it('has each order once in the end, and sells nothing in the meantime', async () => {
    const dump = `${folder.path}/shard.sql`;
    const dumping = new AbortController();
    const [, answers] = await Promise.all([
      sleep(SELLING_MS / 2)
        .then(() => client(MYSQLDUMP, ['--single-transaction', '--set-gtid-purged=OFF'], dump, 'written'))
        .then(() => sleep(SELLING_MS / 2))
        .finally(() => dumping.abort()),
      sell('dumped', dumping.signal),
    ]);
    expect(answers.get(201)).to.be.above(CLIENTS);
    await sleep(ADVANCED_MS);
    const closed = await runFile(
      'src/commands/reconcile.ts',
      ['--restored', '--shard', 'own-0', '--close'],
      shards().environment,
    );
    expect(closed.code, closed.stderr).to.equal(0);
    await eventually('the shard is refused', WAIT_MS, async () => (await statesOf()) === 'refused,serving,serving');
    const known = books.length;
    const loading = new AbortController();
    const [, meanwhile] = await Promise.all([
      client(MYSQL, [], dump, 'read')
        .then(() => sleep(ADVANCED_MS))
        .finally(() => loading.abort()),
      sell('loading', loading.signal),
    ]);
    expect([...meanwhile.keys()].sort()).to.deep.equal([201, 503]);
    expect(books.slice(known).some((line) => line.includes(skus[0] ?? ''))).to.equal(false);
    expect(await statesOf()).to.equal('refused,serving,serving');

    const orders = folder.write('orders.csv', `order_id,sku_id,order_detail_id,quantity\n${books.join('\n')}\n`);
    const done = await runFile(
      'src/commands/reconcile.ts',
      ['--restored', '--orders', orders, '--put-back', '--accept'],
      shards().environment,
    );
    expect(done.code, done.stdout + done.stderr).to.equal(0);
    const missing = Number(/│ flow +│ (\d+)/.exec(done.stdout)?.[1]);
    console.log(
      `      ${books.length} lines sold, ${missing} of them missing in the dump, ` +
        `${meanwhile.get(503) ?? 0} orders rejected while it was loaded`,
    );
    expect(missing, done.stdout).to.be.above(0);
    await eventually('the shard sells again', WAIT_MS, async () => (await statesOf()) === 'serving,serving,serving');
    const sold = new Map(skus.map((sku_id) => [sku_id, 0]));
    for (const line of books) {
      const [order_id = '', sku_id = '', order_detail_id = '', quantity] = line.split(',');
      const { status } = await theGateway().post('/v1/deductions', {
        order_id,
        lines: [{ sku_id, order_detail_id, quantity: Number(quantity) }],
      });
      expect(status, line).to.equal(200);
      sold.set(sku_id, (sold.get(sku_id) ?? 0) + Number(quantity));
    }
    for (const [sku_id, units] of sold)
      expect((await theGateway().get(`/v1/skus/${encodeURIComponent(sku_id)}`)).body?.leaved_amount).to.equal(
        1_000_000 - units,
      );
    const audit = await runFile('src/commands/reconcile.ts', [], shards().environment);
    expect(audit.code, audit.stdout + audit.stderr).to.equal(0);
  });
});

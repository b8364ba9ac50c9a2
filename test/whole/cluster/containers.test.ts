import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect } from 'chai';
import { queryOnce } from '../../../scripts/cluster/queryOnce.ts';
import { startCluster } from '../../../scripts/cluster/cluster.ts';
import type { Cluster, ClusterOptions } from '../../../scripts/cluster/contract.ts';
import { readEnvironment } from '../../../scripts/cluster/environment.ts';
import { findImage } from '../../../scripts/cluster/image.ts';
import type { ContainerImage } from '../../../scripts/cluster/image.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { startFile } from '../../support/run/command.ts';
import { eventually } from '../../support/run/eventually.ts';

/** An image may have to be pulled first. */
const LIMIT_MS = 600_000;
const ANSWER_MS = 5_000;
const GONE_MS = 30_000;
const DATA_DIRECTORY = projectPath('.local');
const chosen = process.env['STOCKGATE_MYSQL_IMAGE'];

const quiet = (): void => {};

describe('an image that the environment names', () => {
  it('is used, unless servers are named too', () => {
    expect(readEnvironment({ STOCKGATE_MYSQL_IMAGE: 'mysql:9' })).to.include({ image: 'mysql:9', named: undefined });
    const both = { STOCKGATE_MYSQL_SERVERS: 'db:3306', STOCKGATE_MYSQL_USER: 'shop', STOCKGATE_MYSQL_IMAGE: 'mysql:9' };
    expect(() => readEnvironment(both)).to.throw('set only one of them');
  });
});

describe('servers in containers', function () {
  this.timeout(LIMIT_MS);
  let image: ContainerImage;
  let cluster: Cluster | undefined;

  before(async function () {
    if (process.env['STOCKGATE_MYSQL_SERVERS']) this.skip();
    const name = chosen ?? 'mysql:8.4';
    const found = await findImage(name, ['mysql', 'mariadb'], quiet).catch((error: Error) => error);
    if (found instanceof Error) {
      // An image that the environment names must be there.
      if (chosen !== undefined) throw found;
      console.error(`servers in containers are not tested, because ${name} cannot be started: ${found.message}`);
      return this.skip();
    }
    image = found;
    process.env['STOCKGATE_MYSQL_IMAGE'] = name;
    cluster = await start();
  });
  after(async () => {
    await cluster?.stop();
    if (chosen === undefined) delete process.env['STOCKGATE_MYSQL_IMAGE'];
  });

  const start = (options: Partial<ClusterOptions> = {}): Promise<Cluster> =>
    startCluster({ servers: 1, dataDirectory: DATA_DIRECTORY, onProgress: quiet, ...options });
  const question = (of: Cluster | undefined, statement: string): ReturnType<typeof queryOnce> =>
    queryOnce(of!.servers[0]!, statement, ANSWER_MS);
  /** The containers of a process, running or not. */
  const containersOf = async (pid: number | undefined): Promise<string[]> => {
    const all = await image.engine.container.dockerode.listContainers({
      all: true,
      filters: { label: ['stockgate.owner'] },
    });
    return all.filter(({ Labels: labels }) => labels['stockgate.owner']?.includes(`~${pid}~`)).map(({ Id: id }) => id);
  };

  it('report their product, are as durable as in production, and accept only local connections', async () => {
    expect(cluster?.product).to.match(/^(MySQL|MariaDB) \d+\.\d+\.\d+, containers of /);
    const row = await question(
      cluster,
      `SELECT @@innodb_flush_log_at_trx_commit AS flush, @@sync_binlog AS sync, @@log_bin AS log,
      @@binlog_format AS format, @@global.time_zone AS zone, @@max_connections AS connections`,
    );
    expect({ ...row }).to.deep.equal({ flush: 1, sync: 1, log: 1, format: 'ROW', zone: '+00:00', connections: 1000 });
    const outside = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal);
    for (const { address } of outside) {
      const socket = connect(cluster!.servers[0]!.port, address);
      expect(
        await once(socket, 'connect').then(
          () => 'connected',
          (error: NodeJS.ErrnoException) => error.code,
        ),
        address,
      ).to.equal('ECONNREFUSED');
      socket.destroy();
    }
  });

  it('keep their port and data over a stop, a kill and a freeze', async () => {
    const server = cluster!.servers[0]!;
    const { port } = server;
    await question(cluster, 'CREATE DATABASE kept').catch(quiet);
    expect(
      await server.start().then(
        () => 'started',
        (error: Error) => error.message,
      ),
    ).to.contain('running already');
    await server.stop();
    expect(server.pid).to.equal(undefined);
    await server.start();
    server.signal('SIGSTOP');
    await eventually('it is frozen', GONE_MS, () =>
      queryOnce(server, 'SELECT 1', 200).then(
        () => false,
        (error: Error) => error.message.includes('no answer'),
      ),
    );
    server.signal('SIGKILL');
    await server.start();
    expect(server.port).to.equal(port);
    expect(await question(cluster, "SHOW DATABASES LIKE 'kept'")).to.not.equal(undefined);
  });

  it('show the end of their log when they do not start, and leave nothing behind', async () => {
    const before = await containersOf(process.pid);
    const failure = await start({ servers: 2, extraArguments: ['--innodb-data-file-path=nonsense'] }).then(
      () => 'started',
      (error: Error) => error.message,
    );
    expect(failure)
      .to.contain('the end of its log')
      .and.to.match(/innodb.data.file.path/);
    expect(await containersOf(process.pid)).to.have.members(before);
  });

  it('find kept data again, in other containers', async () => {
    const keep = `containers-${process.pid}`;
    const { dockerode } = image.engine.container;
    const volumes = async (): Promise<string[]> =>
      (await dockerode.listVolumes()).Volumes.map(({ Name: name }) => name);
    const before = await volumes();
    try {
      const first = await start({ keep });
      await question(first, 'CREATE DATABASE kept').catch(quiet);
      await first.stop();
      const second = await start({ keep });
      expect(await question(second, "SHOW DATABASES LIKE 'kept'")).to.not.equal(undefined);
      await second.stop();
    } finally {
      await rm(`${DATA_DIRECTORY}/kept/${keep}`, { recursive: true, force: true });
      const own = (await volumes()).filter((name) => name.startsWith('stockgate-') && !before.includes(name));
      await Promise.all(own.map((name) => dockerode.getVolume(name).remove()));
    }
  });

  it('of a parent that is killed are removed when another process starts some', async () => {
    const parent = await startFile('test/support/run/clusterParent.ts', [DATA_DIRECTORY]);
    await parent.line();
    expect(await containersOf(parent.pid)).to.have.length(1);
    parent.signal('SIGKILL');
    await parent.finished;
    await (await start()).stop();
    await eventually('they are removed', GONE_MS, async () => (await containersOf(parent.pid)).length === 0);
  });
});

import { expect } from 'chai';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mirrorsIn } from '../../../scripts/cluster/install/apt.ts';
import { queryOnce } from '../../../scripts/cluster/queryOnce.ts';
import type { Cluster } from '../../../scripts/cluster/contract.ts';
import { readEnvironment } from '../../../scripts/cluster/environment.ts';
import { identify, productName } from '../../../scripts/cluster/install/installation.ts';
import { findInstalled } from '../../../scripts/cluster/install/installed.ts';
import { firstWorking } from '../../../scripts/cluster/install/findServer.ts';
import { claimDirectory, isAbandoned, makeOnce, ownPath, removeAbandoned } from '../../../scripts/cluster/ownership.ts';
import { supervise } from '../../../scripts/cluster/supervise.ts';
import {
  APT_OUTPUT,
  CHECKOUT,
  DATA_DIRECTORY,
  diesWithin,
  question,
  quiet,
  rejection,
  runsOf,
  start,
} from '../../support/systems/clusterBench.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { isAlive } from '../../support/run/command.ts';

const FIRST_DOWNLOAD_LIMIT_MS = 300_000;
const DEATH_LIMIT_MS = 5_000;
const NO_PROCESS = 4_194_305; // Above any number a process can have.

describe('cluster', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'stockgate-'));
  });

  after(() => rm(folder, { recursive: true, force: true }));

  describe('the environment', () => {
    it('leaves the choice of a server open by default', () => {
      expect(readEnvironment({})).to.deep.equal({
        kind: 'auto',
        named: undefined,
        image: undefined,
        debianMirror: undefined,
      });
    });

    it('names servers, also by IPv6 address', () => {
      const { named } = readEnvironment({
        STOCKGATE_MYSQL_SERVERS: 'db-1:3306, [::1]:3307',
        STOCKGATE_MYSQL_USER: 'shop',
        STOCKGATE_MYSQL_PASSWORD: 'secret',
      });
      expect(named).to.deep.equal({
        addresses: [
          { host: 'db-1', port: 3306 },
          { host: '::1', port: 3307 },
        ],
        user: 'shop',
        password: 'secret',
      });
    });

    it('is rejected with the name of the variable when a value is invalid', () => {
      expect(() => readEnvironment({ STOCKGATE_SERVER: 'oracle' })).to.throw('STOCKGATE_SERVER');
      expect(() => readEnvironment({ STOCKGATE_MYSQL_SERVERS: 'db:3306' })).to.throw('STOCKGATE_MYSQL_USER');
      for (const list of ['db', 'db:', ':3306', 'db:99999', 'db:3306,']) {
        expect(() => readEnvironment({ STOCKGATE_MYSQL_SERVERS: list, STOCKGATE_MYSQL_USER: 'shop' }), list).to.throw(
          'host:port',
        );
      }
    });
  });

  describe('the list of ways to get a server', () => {
    const failing = (name: string) => ({ name, take: () => Promise.reject(new Error(`${name} is broken`)) });

    it('takes the first way that works, and reports why earlier ones did not', async () => {
      const printed: string[] = [];
      const ways = [failing('first'), { name: 'second', take: async () => 'second' }, failing('third')];
      expect(await firstWorking(ways, (line) => printed.push(line))).to.equal('second');
      expect(printed).to.deep.equal(['no first: first is broken']);
    });

    it('names every way and its error when none works', async () => {
      const error = await rejection(firstWorking([failing('first'), failing('second')], quiet));
      expect(error.message).to.contain('no first: first is broken').and.to.contain('no second: second is broken');
    });

    it('identifies products by their version line, and rejects old versions', () => {
      const mysql = identify('/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))');
      const mariadb = identify('mariadbd  Ver 10.11.18-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)');
      expect([mysql, mariadb].map(productName)).to.deep.equal(['MySQL 9.7.4', 'MariaDB 10.11.18']);
      expect(() => identify('mysqld  Ver 5.7.44 for Linux on x86_64')).to.throw('older than 8.0');
      expect(() => identify('command not found')).to.throw('not a server');
    });

    it("finds an installed server in PATH, also under the other product's name", async () => {
      const program = join(folder, 'bin', 'mysqld');
      await mkdir(join(folder, 'bin'));
      await writeFile(program, '#!/bin/sh\necho "mysqld  Ver 10.11.6-MariaDB for Linux on x86_64"\n');
      await chmod(program, 0o755);
      const installation = await findInstalled(['mariadb'], join(folder, 'bin'));
      expect(installation.command).to.deep.equal([program]);
      expect(productName(installation)).to.equal('MariaDB 10.11.6');
    });

    it('takes only mirrors of whole suites from the output of apt', () => {
      expect(mirrorsIn(APT_OUTPUT)).to.deep.equal(['http://one.example/debian', 'https://three.example/tools']);
    });
  });

  describe('ownership', () => {
    it('removes what dead processes own, and leaves other processes and hosts alone', async () => {
      const own = ownPath(join(folder, 'owned', 'run'));
      const dead = own.replace(`~${process.pid}~`, `~${NO_PROCESS}~`);
      const reused = own.replace(/~(\d+)~(\d+)~(\d+)$/, '~$1~1~$3');
      const elsewhere = dead.replace(/~[^~]+/, '~elsewhere');
      expect([own, dead, reused, elsewhere, 'run'].map(isAbandoned)).to.deep.equal([false, true, true, false, false]);
      for (const path of [own, dead, reused, elsewhere]) await mkdir(path, { recursive: true });
      await removeAbandoned(join(folder, 'owned'));
      expect(await readdir(join(folder, 'owned'))).to.have.length(2);
    });

    it('makes a directory once and in full for several requests at once', async () => {
      const directory = join(folder, 'made');
      // A folder without the file `made.json`, as an interrupted copy by hand would leave it.
      await mkdir(directory);
      await writeFile(join(directory, 'half'), '');
      const build = async (temporary: string): Promise<{ answer: number }> => {
        await writeFile(join(temporary, 'full'), '');
        return { answer: 42 };
      };
      const made = await Promise.all([1, 2, 3].map(() => makeOnce(directory, build)));
      made.push(await makeOnce(directory, () => Promise.reject(new Error('made twice'))));
      expect(made).to.deep.equal(Array(4).fill({ answer: 42 }));
      expect(await readdir(directory)).to.have.members(['full', 'made.json']);
    });

    it('gives a kept directory to one process at a time, and to the next when that has died', async () => {
      const directory = join(folder, 'kept');
      const release = await claimDirectory(directory);
      expect((await rejection(claimDirectory(directory))).message).to.contain(`in use by process ${process.pid}`);
      const mark = await readFile(join(directory, 'owner'), 'utf8');
      await writeFile(join(directory, 'owner'), mark.replace(`~${process.pid}~`, `~${NO_PROCESS}~`));
      await claimDirectory(directory);
      await release();
      expect(await readdir(directory)).to.deep.equal([]);
    });
  });

  describe('supervised commands', () => {
    it('have their own process number, output and exit code', async () => {
      const child = supervise({ command: '/bin/sh', arguments: ['-c', 'echo $$; exit 3'], stdout: 'pipe' });
      const [printed] = (await once(child.stdout!, 'data')) as [Buffer];
      expect(Number(printed.toString())).to.equal(child.pid);
      expect(await child.exited).to.deep.equal({ code: 3, signal: null });
    });

    it('are stopped with SIGTERM, then with SIGKILL', async () => {
      const obedient = supervise({ command: 'sleep', arguments: ['60'] });
      obedient.signal('SIGSTOP');
      expect(await obedient.stop(5_000)).to.deep.equal({ code: null, signal: 'SIGTERM' });
      const stubborn = supervise({
        command: '/bin/sh',
        arguments: ['-c', 'trap "" TERM; echo; while :; do sleep 0.1; done'],
        stdout: 'pipe',
      });
      await once(stubborn.stdout!, 'data');
      expect(await stubborn.stop(50)).to.deep.equal({ code: null, signal: 'SIGKILL' });
    });
  });

  describe('servers', function () {
    // Only the very first run fetches a server.
    this.timeout(FIRST_DOWNLOAD_LIMIT_MS);
    let cluster: Cluster;

    before(async function () {
      if (process.env.STOCKGATE_MYSQL_SERVERS || process.env.STOCKGATE_MYSQL_IMAGE) this.skip();
      cluster = await start();
    });

    after(() => cluster?.stop());

    it('answer, report their product, and are as durable as in production', async () => {
      expect(cluster.product).to.match(/^(MySQL|MariaDB) \d+\.\d+\.\d+, /);
      const row = await question(
        cluster.servers[0]!,
        `SELECT @@innodb_flush_log_at_trx_commit AS flush, @@sync_binlog AS sync,
        @@log_bin AS log, @@binlog_format AS format, @@global.time_zone AS zone, @@max_connections AS connections,
        @@global.sql_mode LIKE '%STRICT_TRANS_TABLES%' AS strict, @@bind_address AS address,
        @@version NOT LIKE '%MariaDB%' OR @@tmpdir = TRIM(TRAILING '/' FROM @@datadir) AS keeps_temporary_tables_apart`,
      );
      expect({ ...row }).to.deep.equal({
        flush: 1,
        sync: 1,
        log: 1,
        format: 'ROW',
        zone: '+00:00',
        connections: 1000,
        strict: 1,
        address: '127.0.0.1',
        keeps_temporary_tables_apart: 1,
      });
    });

    it('keep their port and data over a stop, a kill and a freeze', async () => {
      const server = cluster.servers[0]!;
      const { port, pid } = server;
      await question(server, 'CREATE DATABASE kept').catch(quiet);
      expect((await rejection(server.start())).message).to.contain('running already');
      await server.stop();
      expect(server.pid).to.equal(undefined);
      await server.start();
      server.signal('SIGSTOP');
      expect((await rejection(queryOnce(server, 'SELECT 1', 200))).message).to.contain('no answer');
      server.signal('SIGKILL');
      await server.start();
      expect(server.port).to.equal(port);
      expect(server.pid).not.to.equal(pid);
      expect(await question(server, "SHOW DATABASES LIKE 'kept'")).to.not.equal(undefined);
    });

    it('are used unchanged when the environment names them', async () => {
      const { host, port, user, password } = cluster.servers[0]!;
      const named = {
        STOCKGATE_MYSQL_SERVERS: `${host}:${port}`,
        STOCKGATE_MYSQL_USER: user,
        STOCKGATE_MYSQL_PASSWORD: password,
      };
      Object.assign(process.env, named);
      try {
        const borrowed = await start();
        expect(borrowed.product).to.contain('named in the environment');
        expect((await rejection(borrowed.servers[0]!.stop())).message).to.contain(
          'is never started, stopped or signalled',
        );
        await borrowed.stop();
        await question(borrowed.servers[0]!, 'SELECT 1');
        expect((await rejection(start({ servers: 2 }))).message).to.contain('names 1 of the 2 servers');
      } finally {
        for (const name of Object.keys(named)) delete process.env[name];
      }
    });

    it('show the end of their log when they do not start, and leave nothing behind', async () => {
      const runsBefore = await runsOf(process.pid);
      const error = await rejection(start({ servers: 2, extraArguments: ['--innodb-data-file-path=nonsense'] }));
      expect(error.message).to.match(/ended while starting[\s\S]*innodb.data.file.path/);
      expect(await runsOf(process.pid)).to.deep.equal(runsBefore);
    });

    it('leave no process and no directory when stopped', async () => {
      const [before, other] = [await runsOf(process.pid), await start({ servers: 2 })];
      const pids = other.servers.map((server) => server.pid!);
      expect(await runsOf(process.pid)).to.have.length(before.length + 1);
      await other.stop();
      expect(pids.map(isAlive)).to.deep.equal([false, false]);
      expect(await runsOf(process.pid)).to.deep.equal(before);
    });

    it('find kept data again', async () => {
      const keep = `test-${process.pid}`;
      try {
        const first = await start({ keep });
        await question(first.servers[0]!, 'CREATE DATABASE kept').catch(quiet);
        expect((await rejection(start({ keep }))).message).to.contain('in use');
        await first.stop();
        const second = await start({ keep });
        expect(await question(second.servers[0]!, "SHOW DATABASES LIKE 'kept'")).to.not.equal(undefined);
        await second.stop();
      } finally {
        await rm(join(DATA_DIRECTORY, 'kept', keep), { recursive: true, force: true });
      }
    });

    it('die with a parent that is killed, even when frozen, and its files are removed', async () => {
      const parent = supervise({
        command: process.execPath,
        arguments: ['--import', 'tsx', projectPath('test/support/run/clusterParent.ts'), DATA_DIRECTORY],
        workingDirectory: CHECKOUT,
        stdout: 'pipe',
      });
      const [{ pid }] = JSON.parse(String((await once(parent.stdout!, 'data'))[0])) as [{ pid: number }];
      expect(isAlive(pid)).to.equal(true);
      process.kill(pid, 'SIGSTOP');
      parent.signal('SIGKILL');
      await parent.exited;
      expect(await diesWithin(pid, DEATH_LIMIT_MS)).to.equal(true);
      expect(await runsOf(parent.pid)).to.have.length(1);
      await (await start()).stop();
      expect(await runsOf(parent.pid)).to.have.length(0);
    });
  });
});

import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect } from 'chai';
import { importTypeScript } from '../../../src/importTypeScript.ts';
import { levelOf } from '../../../src/mysql/migrations/migrationFiles.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { startGatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import { httpClient } from '../../../scripts/support/httpClient.ts';
import type { Answer, HttpClient } from '../../../scripts/support/httpClient.ts';
import { runFile, startCommand } from '../run/command.ts';
import type { Finished } from '../run/command.ts';
import { eventually } from '../run/eventually.ts';
import { ownShards } from '../rows/ownShards.ts';
import type { OwnShards } from '../rows/ownShards.ts';
import type { EarlierVersion } from './versionBefore.ts';

const FREE_PORTS = { PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'silent' };
const CONNECTIONS = 64;

/** The migrations from an earlier level to that of this checkout. */
export interface UpgradeSteps {
  /** The level that `up` brings shards in use to. */
  readonly expandedLevel: number;
  /** The oldest gateway that is served at that level. */
  readonly oldestGateway: number;
  /** The level with the migrations that wait; the same when none waits. */
  readonly newestLevel: number;
  /** The oldest gateway that is served at the newest level. */
  readonly newestOldestGateway: number;
}

/** @param level of the schema now */
export async function upgradeSteps(level: number): Promise<UpgradeSteps> {
  const names = readdirSync(projectPath('migrations')).sort();
  const migrations = await Promise.all(
    names.map(async (name) => ({
      level: levelOf(name),
      ...((await importTypeScript(projectPath(`migrations/${name}`))) as {
        oldestGateway: number;
        shutsOutVersionBefore?: boolean;
      }),
    })),
  );
  const waiting = migrations.findIndex((one) => one.level > level && one.shutsOutVersionBefore === true);
  const expanded = waiting < 0 ? migrations : migrations.slice(0, waiting);
  const oldestOf = (some: typeof migrations): number => Math.max(...some.map(({ oldestGateway }) => oldestGateway));
  return {
    expandedLevel: expanded.at(-1)?.level ?? 0,
    oldestGateway: oldestOf(expanded),
    newestLevel: migrations.at(-1)?.level ?? 0,
    newestOldestGateway: oldestOf(migrations),
  };
}

/** Gateways of two versions, on shards of their own that the earlier version has created. */
export class TwoVersions {
  readonly own: OwnShards;
  readonly client: HttpClient = httpClient(CONNECTIONS);
  readonly #earlier: EarlierVersion;
  readonly #shardCount: number;
  readonly #running: GatewayProcess[] = [];

  static async create(earlier: EarlierVersion, shardCount: number): Promise<TwoVersions> {
    return new TwoVersions(earlier, shardCount, await ownShards({ count: shardCount, migrated: false }));
  }

  private constructor(earlier: EarlierVersion, shardCount: number, own: OwnShards) {
    [this.#earlier, this.#shardCount, this.own] = [earlier, shardCount, own];
  }

  startOld(): Promise<GatewayProcess> {
    return this.#start(relative(projectPath('.'), join(this.#earlier.path, 'src/main.ts')));
  }

  startNew(): Promise<GatewayProcess> {
    return this.#start();
  }

  async #start(entry?: string): Promise<GatewayProcess> {
    const gateway = await startGatewayProcess({ ...this.own.environment, ...FREE_PORTS }, entry);
    this.#running.push(gateway);
    return gateway;
  }

  /** Creates the shards with the command of the earlier version. */
  async createShards(): Promise<void> {
    const words = ['--import', 'tsx', this.#earlier.migrate, 'up', '--create-schemas'];
    const { code, stderr } = await startCommand(process.execPath, words, this.own.environment).finished;
    expect(code, stderr).to.equal(0);
  }

  /** Runs the command of this version, which must succeed. */
  async migrate(...words: readonly string[]): Promise<Finished> {
    const finished = await runFile('src/commands/migrate.ts', words, this.own.environment);
    expect(finished.code, finished.stdout + finished.stderr).to.equal(0);
    return finished;
  }

  /** The level of every shard. */
  levels(): Promise<number[]> {
    return this.onEachShard('SELECT schema_level FROM shard', (rows) => Number(rows[0]?.['schema_level']));
  }

  /** Queries every shard. */
  onEachShard<T>(sql: string, valueOf: (rows: Record<string, unknown>[], shard: number) => T): Promise<T[]> {
    return Promise.all(
      Array.from({ length: this.#shardCount }, async (_, shard) => valueOf(await this.own.query(shard, sql), shard)),
    );
  }

  put(gateway: GatewayProcess, path: string, body: unknown): Promise<Answer> {
    return this.client.call({ method: 'PUT', url: gateway.adminUrl + path, body });
  }

  /** Sends an order of one unit of each SKU. */
  deduct({ publicUrl }: GatewayProcess, order_id: string, ...sku_ids: readonly string[]): Promise<Answer> {
    const lines = sku_ids.map((sku_id, place) => ({ order_detail_id: `${order_id}-${place}`, sku_id, quantity: 1 }));
    return this.client.call({ method: 'POST', url: `${publicUrl}/v1/deductions`, body: { order_id, lines } });
  }

  async serves(gateway: GatewayProcess): Promise<boolean> {
    return (await this.#shardsOf(gateway)).every(({ state }) => state === 'serving');
  }

  async expectRefused(gateway: GatewayProcess, reason: string): Promise<void> {
    // On a busy machine the first attempt may have timed out.
    await eventually('every shard is refused', 10_000, async () =>
      (await this.#shardsOf(gateway)).every(({ state }) => state === 'refused'),
    );
    for (const shard of await this.#shardsOf(gateway)) expect(shard.reason).to.contain(reason);
    expect((await this.client.call({ method: 'GET', url: `${gateway.adminUrl}/readyz` })).status).to.equal(503);
  }

  async #shardsOf({ adminUrl }: GatewayProcess): Promise<{ state: string; reason: string | null }[]> {
    return (await this.client.call({ method: 'GET', url: `${adminUrl}/v1/shards` })).body.shards;
  }

  /** Stops all gateways and drops the shards. */
  async end(): Promise<void> {
    for (const gateway of this.#running.splice(0).reverse()) {
      gateway.signal('SIGCONT');
      await gateway.stop();
    }
    this.client.close();
    await this.own.drop();
  }
}

import type { Logger } from 'pino';
import { runFile } from '../run/command.ts';
import type { Finished } from '../run/command.ts';
import { eventually } from '../run/eventually.ts';
import { startTestGateway } from '../gateway/gateway.ts';
import type { TestGateway } from '../gateway/gateway.ts';
import { ownShards } from '../rows/ownShards.ts';
import type { OwnShards } from '../rows/ownShards.ts';
import { ShardCopies } from '../rows/shardCopies.ts';
import { temporaryFolder } from '../run/temporary.ts';

const WAIT_MS = 30_000;
/** Longer than a shard stays without a new watermark, and the other shards without a copy of it. */
export const WATERMARK_MS = 3_000;

export interface OrderBody {
  readonly order_id: string;
  readonly lines: readonly { readonly sku_id: string; readonly order_detail_id: string; readonly quantity: number }[];
}

/** An order of some lines; the ids of its lines are made from its own id. */
export function orderOf(order_id: string, lines: readonly (readonly [sku_id: string, quantity: number])[]): OrderBody {
  return {
    order_id,
    lines: lines.map(([sku_id, quantity], place) => ({ sku_id, order_detail_id: `${order_id}-${place}`, quantity })),
  };
}

/** The path of a SKU, or of a resource below it. */
export function skuPath(sku_id: string, rest = ''): string {
  return `/v1/skus/${encodeURIComponent(sku_id)}${rest}`;
}

/** Shards that are copied and restored, the gateway that sells from them, and the command that repairs them. */
export class RestoredBench {
  readonly own: OwnShards;
  readonly copies: ShardCopies;
  gateway: TestGateway;
  readonly #folder = temporaryFolder();

  private constructor(own: OwnShards, copies: ShardCopies, gateway: TestGateway) {
    this.own = own;
    this.copies = copies;
    this.gateway = gateway;
  }

  /** @param environment settings of the gateway */
  static async start(count: number, log?: Logger, environment: NodeJS.ProcessEnv = {}): Promise<RestoredBench> {
    const own = await ownShards({ count, migrated: true });
    return new RestoredBench(own, await ShardCopies.of(own), await startTestGateway(environment, own, log));
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    await this.copies.drop();
    await this.own.drop();
    this.#folder.remove();
  }

  /** Sells an order, with retries. */
  async deduct(order_id: string, ...lines: readonly (readonly [sku_id: string, quantity: number])[]): Promise<void> {
    await eventually(
      `${order_id} is sold`,
      WAIT_MS,
      async () => (await this.gateway.post('/v1/deductions', orderOf(order_id, lines))).status < 300,
    );
  }

  /** The units left of a SKU. */
  async leftOf(sku_id: string): Promise<unknown> {
    return (await this.gateway.get(skuPath(sku_id))).body?.leaved_amount;
  }

  /** The state of each shard in the gateway. */
  async shardStates(): Promise<{ readonly state: string; readonly reason: string }[]> {
    return (await this.gateway.adminGet('/v1/shards')).body?.shards as { state: string; reason: string }[];
  }

  /** These states in one line. */
  async statesOf(): Promise<string> {
    return String((await this.shardStates()).map(({ state }) => state));
  }

  command(...args: readonly string[]): Promise<Finished> {
    return runFile('src/commands/reconcile.ts', ['--restored', ...args], this.own.environment);
  }

  /** Writes a file that lists the shards; for those in `restored` it names their copies called `before`. */
  async against(restored: readonly number[]): Promise<string> {
    const shards = (await this.own.load()).map(({ name, address: { host, port, user, schema } }, shard) => ({
      name,
      primary: {
        host,
        port,
        user,
        schema: restored.includes(shard) ? this.copies.schemaOf(shard, 'before') : schema,
        passwordVariable: 'STOCKGATE_MYSQL_PASSWORD',
      },
      pool: { connections: 4, waiting: 100 },
    }));
    return this.#folder.write('before.json', JSON.stringify({ initialShards: this.own.initialShards, shards }));
  }
}

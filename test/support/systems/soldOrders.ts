import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { runFile } from '../run/command.ts';
import { eventually } from '../run/eventually.ts';
import { WATERMARK_MS, orderOf, skuPath } from './restoredBench.ts';
import type { RestoredBench } from './restoredBench.ts';
import { temporaryFolder } from '../run/temporary.ts';

const WAIT_MS = 30_000;
const HEADER = 'order_id,sku_id,order_detail_id,quantity';

/** The orders that a test sells before shard 0 is restored, as a shop keeps them, and waits for its states. */
export class SoldOrders {
  readonly #bench: RestoredBench;
  readonly #shardCount: number;
  readonly #folder = temporaryFolder();
  /** One line of the file of orders each. */
  #sold: string[] = [];

  constructor(bench: RestoredBench, shardCount: number) {
    this.#bench = bench;
    this.#shardCount = shardCount;
  }

  /** Forgets the orders of an earlier test. */
  clear(): void {
    this.#sold = [];
  }

  remove(): void {
    this.#folder.remove();
  }

  /** Sells an order, which may have to wait. */
  async deduct(order_id: string, ...lines: readonly (readonly [sku_id: string, quantity: number])[]): Promise<void> {
    await this.#bench.deduct(order_id, ...lines);
    for (const { sku_id, order_detail_id, quantity } of orderOf(order_id, lines).lines)
      this.#sold.push(`${order_id},${sku_id},${order_detail_id},${quantity}`);
  }

  /** Writes the file of orders. @returns its path */
  write(name: string, lines: readonly string[] = this.#sold): string {
    return this.#folder.write(`${name}.csv`, `${HEADER}\n${lines.join('\n')}\n`);
  }

  /** Writes another file beside it. @returns its path */
  writeFile(name: string, content: string): string {
    return this.#folder.write(name, content);
  }

  /** Sends every line again, each as an order of one line. @returns the statuses */
  async sendAgain(): Promise<number[]> {
    const statuses: number[] = [];
    for (const line of this.#sold) {
      const [order_id = '', sku_id, order_detail_id, quantity] = line.split(',');
      const { status } = await this.#bench.gateway.post('/v1/deductions', {
        order_id,
        lines: [{ sku_id, order_detail_id, quantity: Number(quantity) }],
      });
      statuses.push(status);
    }
    return statuses;
  }

  /** Asserts that every line, sent again, is a replay. */
  async expectReplays(): Promise<void> {
    expect(await this.sendAgain()).to.deep.equal(this.#sold.map(() => 200));
  }

  /** Splits a SKU into three rows, and waits until its layout is open and no units are in transit. */
  async split(sku_id: string): Promise<void> {
    const { gateway, own } = this.#bench;
    const isSplit = async (): Promise<boolean> =>
      (await gateway.adminPut(skuPath(sku_id, '/hot'), { sub_rows: 3 })).status === 200;
    await eventually('the SKU is split', WAIT_MS, isSplit);
    const changing = "SELECT 1 FROM hot_sku WHERE state <> 'open' OR earlier <> '[]'";
    await eventually('every layout is open', WAIT_MS, async () => (await own.query(0, changing)).length === 0);
    await eventually('no units are in transit', WAIT_MS, async () => {
      for (let shard = 0; shard < this.#shardCount; shard += 1)
        if ((await own.query(shard, 'SELECT 1 FROM transfer WHERE is_open = 1')).length > 0) return false;
      return true;
    });
  }

  /** Waits until shard 0 has no holds. */
  async completed(): Promise<void> {
    const pending = "SELECT 1 FROM flow WHERE status = 'pending'";
    await eventually(
      'every cart is completed',
      WAIT_MS,
      async () => (await this.#bench.own.query(0, pending)).length === 0,
    );
  }

  /** Restores shard 0 from its copy `backup`, and waits until the gateway refuses it. */
  async restored(): Promise<void> {
    await this.completed();
    await sleep(WATERMARK_MS);
    await this.#bench.copies.restore(0, 'backup');
    await this.becomes('refused');
  }

  /** Puts back the missing orders by their file, and waits until shard 0 is served again. @returns what was printed */
  async putBack(name: string): Promise<string> {
    const { code, stdout, stderr } = await this.#bench.command('--orders', this.write(name), '--put-back', '--accept');
    expect(code, stdout + stderr).to.equal(0);
    expect(stdout, stdout).to.match(/own-0 is reopened$/m);
    await this.becomes('serving');
    return stdout;
  }

  /** Waits until the gateway reports this state of shard 0. */
  async becomes(state: 'serving' | 'refused'): Promise<void> {
    await eventually(`shard 0 is ${state}`, WAIT_MS, async () => (await this.#bench.shardStates())[0]?.state === state);
  }

  /** Asserts that a reconciliation finds no difference. */
  async expectReconciled(): Promise<void> {
    const { code, stdout, stderr } = await runFile('src/commands/reconcile.ts', [], this.#bench.own.environment);
    expect(code, stdout + stderr).to.equal(0);
  }
}

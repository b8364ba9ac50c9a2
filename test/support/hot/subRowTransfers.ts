import { expect } from 'chai';
import type { Transfer } from '../../../src/core/types.ts';
import { BatchingEngine } from '../../../src/mysql/batching/batchingEngine.ts';
import type { Shard } from '../../../src/mysql/shard.ts';
import { openShards } from '../engines/engines.ts';
import type { OwnShards } from '../rows/ownShards.ts';

const WAIT_MS = 30_000;

/** Moves units between the rows of a split SKU, as a rebalance does. */
export class SubRowTransfers {
  readonly #own: OwnShards;
  readonly #sku_id: string;
  readonly #shards: readonly Shard[];
  readonly #engine: BatchingEngine;
  /** The shards of the rows, in the order of the rows. */
  readonly #places: readonly number[];

  private constructor(own: OwnShards, sku_id: string, shards: readonly Shard[], places: readonly number[]) {
    this.#own = own;
    this.#sku_id = sku_id;
    this.#shards = shards;
    this.#engine = new BatchingEngine(shards);
    this.#places = places;
  }

  /** @param sku_id is split, and its layout is on shard 0 */
  static async of(own: OwnShards, sku_id: string): Promise<SubRowTransfers> {
    const [row] = await own.query(0, `SELECT places FROM hot_sku WHERE sku_id = '${sku_id}'`);
    const shards = openShards({ shards: await own.load(), initialShards: own.initialShards });
    return new SubRowTransfers(own, sku_id, shards, JSON.parse(String(row?.['places'])) as number[]);
  }

  /** The row on a shard. */
  rowOn(shard: number): number {
    return this.#places.indexOf(shard);
  }

  /** Sends units from one row and receives them in another. @param letter of which the id consists */
  async send(letter: string, from: number, to: number, amount: number): Promise<void> {
    const place = (sub_row: number): { shard: number; sub_row: number } => ({
      shard: this.#places[sub_row] ?? 0,
      sub_row,
    });
    const transfer: Transfer = {
      sku_id: this.#sku_id,
      transfer_id: letter.repeat(32),
      amount,
      from: place(from),
      to: place(to),
    };
    const deadlineMs = performance.now() + WAIT_MS;
    const [sent] = await this.#engine.apply(
      transfer.from.shard,
      [{ kind: 'send', ...transfer, epoch: null }],
      deadlineMs,
    );
    expect(sent?.is).to.equal('applied');
    const [received] = await this.#engine.apply(transfer.to.shard, [{ kind: 'receive', ...transfer }], deadlineMs);
    expect(received?.is).to.equal('applied');
  }

  /** Marks a transfer in the row that sent it. @param letter of which its id consists; absent: every transfer */
  async mark(sub_row: number, isOpen: boolean, letter?: string): Promise<void> {
    const ofId = letter === undefined ? '' : ` AND transfer_id = UNHEX(REPEAT('${letter}', 32))`;
    await this.#own.query(
      this.#places[sub_row] ?? 0,
      `UPDATE transfer SET is_open = ${isOpen ? 1 : 0} WHERE sku_id = '${this.#sku_id}'${ofId}`,
    );
  }

  close(): void {
    for (const { pool } of this.#shards) pool.close();
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Stack } from '../../../scripts/support/stack.ts';
import { sideSession } from '../rows/sideSession.ts';

const READS_MAX = 15;
const PAUSE_MS = 200;

/** One stock row of a SKU, with the sums of the other tables. */
export interface HotRow {
  readonly shard: number;
  readonly sub_row: number;
  readonly epoch: number;
  readonly intake: 'any' | 'layout' | 'none';
  readonly leaved_amount: number;
  readonly held_amount: number;
  readonly flow_count: number;
  /** The units that should be left by the journal, held units included. */
  readonly expected: number;
}

const ROWS = `
SELECT stock.sub_row, stock.epoch, stock.intake, stock.leaved_amount, stock.held_amount,
       (SELECT COUNT(*) FROM flow
         WHERE flow.sku_id = stock.sku_id AND flow.sub_row = stock.sub_row AND status <> 'moved') AS flow_count,
       stock.opening_amount
         + IF(stock.sub_row = 0, COALESCE((SELECT SUM(delta) FROM adjustment
                                            WHERE adjustment.sku_id = stock.sku_id), 0), 0)
         - COALESCE((SELECT SUM(quantity - returned) FROM flow
                      WHERE flow.sku_id = stock.sku_id AND flow.sub_row = stock.sub_row
                        AND status IN ('deducted', 'pending', 'cancelled')), 0)
         + COALESCE((SELECT SUM(IF(direction = 'in', 1, -1) * CAST(amount AS SIGNED)) FROM transfer
                      WHERE transfer.sku_id = stock.sku_id AND transfer.sub_row = stock.sub_row), 0) AS expected
  FROM stock WHERE stock.sku_id = ?`;

/** All stock rows of a SKU on all shards. */
export async function hotRowsOf(of: Stack, sku_id: string): Promise<HotRow[]> {
  const found = await Promise.all(
    of.shards.map(async (_, shard) => {
      const session = await sideSession(shard);
      try {
        const [rows] = await session.query(ROWS, [Buffer.from(sku_id)]);
        return (rows as Omit<HotRow, 'shard'>[]).map((row) => ({
          shard,
          ...row,
          expected: Number(row.expected),
          flow_count: Number(row.flow_count),
        }));
      } finally {
        await session.end();
      }
    }),
  );
  return found.flat();
}

/**
 * Asserts that each row agrees with its journal, that no id has two effects, and that the units that left a row have
 * arrived in another row or are in transit. Shards are read one after the other while units may still move, so the
 * check is repeated while it fails.
 */
export async function rowsBalance(of: Stack, sku_id: string): Promise<void> {
  for (let reads = 1; reads < READS_MAX; reads += 1) {
    try {
      return await rowsBalanceNow(of, sku_id);
    } catch {
      await sleep(PAUSE_MS);
    }
  }
  await rowsBalanceNow(of, sku_id);
}

async function rowsBalanceNow(of: Stack, sku_id: string): Promise<void> {
  for (const { shard, sub_row, leaved_amount, expected } of await hotRowsOf(of, sku_id))
    expect(leaved_amount, `row ${sub_row} on shard ${shard}`).to.equal(expected);
  const [ids, transfers, open]: [string[], Map<string, number>, Set<string>] = [[], new Map(), new Set()];
  for (const shard of of.shards.keys()) {
    const session = await sideSession(shard);
    const [flows] = await session.query(
      "SELECT order_detail_id FROM flow WHERE sku_id = ? AND status NOT IN ('void', 'moved')",
      [Buffer.from(sku_id)],
    );
    for (const { order_detail_id } of flows as { order_detail_id: Buffer }[]) ids.push(order_detail_id.toString());
    const [ends] = await session.query(
      'SELECT HEX(transfer_id) AS id, direction, amount, is_open FROM transfer WHERE sku_id = ?',
      [Buffer.from(sku_id)],
    );
    for (const { id, direction, amount, is_open } of ends as {
      id: string;
      direction: string;
      amount: number;
      is_open: number;
    }[]) {
      if (is_open === 1) open.add(id);
      transfers.set(id, (transfers.get(id) ?? 0) + (direction === 'in' ? amount : -amount));
    }
    await session.end();
  }
  expect(new Set(ids).size, 'ids with two effects').to.equal(ids.length);
  expect(
    [...transfers].filter(([id, sum]) => sum !== 0 && !open.has(id)),
    'transfers with different amounts at the two ends',
  ).to.deep.equal([]);
}

/** The layout of a SKU, as its shard stores it. */
export async function layoutOf(
  of: Stack,
  sku_id: string,
): Promise<{ readonly state: string; readonly earlier: string; readonly places: string }> {
  for (const shard of of.shards.keys()) {
    const session = await sideSession(shard);
    try {
      const [rows] = await session.query('SELECT state, earlier, places FROM hot_sku WHERE sku_id = ?', [
        Buffer.from(sku_id),
      ]);
      const [row] = rows as { state: string; earlier: string; places: string }[];
      if (row !== undefined) return row;
    } finally {
      await session.end();
    }
  }
  return { state: 'single', earlier: '[]', places: '[]' };
}

/** Units in closed rows, and in transit. */
export async function unitsToMove(of: Stack, sku_id: string): Promise<number> {
  let units = 0;
  for (const shard of of.shards.keys()) {
    const session = await sideSession(shard);
    const sql = `SELECT COALESCE((SELECT SUM(leaved_amount) FROM stock WHERE sku_id = ? AND intake = 'none'), 0)
                      + COALESCE((SELECT SUM(amount) FROM transfer WHERE sku_id = ? AND is_open = 1), 0) AS units`;
    const [rows] = await session.query(sql, [Buffer.from(sku_id), Buffer.from(sku_id)]);
    units += Number((rows as { units: string }[])[0]?.units);
    await session.end();
  }
  return units;
}

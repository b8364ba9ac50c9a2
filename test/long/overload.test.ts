import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import mysql from 'mysql2/promise';
import type { DatabaseServer } from '../../scripts/cluster/contract.ts';
import { readBooks } from '../../scripts/support/books.ts';
import { startGatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import type { HttpClient } from '../../scripts/support/httpClient.ts';
import { startStack } from '../../scripts/support/stack.ts';
import type { Stack } from '../../scripts/support/stack.ts';
import { residentBytes } from '../support/run/processMemory.ts';
import { skuOn } from '../support/engines/traffic.ts';

const CAPACITY_CLIENTS = 64;
const CAPACITY_MS = 5_000;
const LOAD = 3;
/** Slow enough for the databases to be the bottleneck even at three times the load, and neither gateway nor clients. */
const COMMIT_MS = 40;
const OUTAGE_MS = 30_000;
/** Requests under way at once, at most: a client that waits keeps its place. */
const IN_FLIGHT_MAX = 6_000;
/** For some thousands of requests under way, and for garbage that V8 does not collect while it is busy. */
const MEMORY_BYTES_MAX = 700 * 1024 * 1024;
const WAITING_MAX = 500;

interface Sold {
  readonly atMs: number;
  readonly status: number;
}

describe('overload', () => {
  let stack: Stack;
  let gateway: GatewayProcess;
  let client: HttpClient;
  const sku_ids = Array.from({ length: 64 }, (_, number) => skuOn(number % 16, `load-${number}`));
  const answers: Sold[] = [];
  let sent = 0;

  before(async () => {
    stack = await startStack({
      servers: 2,
      dataDirectory: '.local',
      onProgress: () => undefined,
      pool: { connections: 2, waiting: 1_000 },
    });
    for (const server of stack.cluster.servers) await slowCommits(server, stack.cluster.product);
    gateway = await startGatewayProcess({
      ...stack.environment,
      PORT: '0',
      ADMIN_PORT: '0',
      STOCKGATE_LOG_LEVEL: 'silent',
    });
    client = httpClient(IN_FLIGHT_MAX);
    for (const sku_id of sku_ids) {
      const url = `${gateway.adminUrl}/v1/skus/${sku_id}`;
      expect((await client.call({ method: 'PUT', url, body: { leaved_amount: 100_000_000 } })).status).to.equal(201);
    }
  });
  after(async () => {
    for (const server of stack.cluster.servers) server.signal('SIGCONT');
    client.close();
    await gateway.stop();
    await stack.stop();
  });

  const buy = async (): Promise<void> => {
    sent += 1;
    const body = {
      order_id: `o-${sent}`,
      lines: [{ order_detail_id: `d-${sent}`, sku_id: sku_ids[sent % sku_ids.length], quantity: 1 }],
    };
    const { status } = await client
      .call({ method: 'POST', url: `${gateway.publicUrl}/v1/deductions`, body })
      .catch(() => ({ status: 0 }));
    answers.push({ atMs: performance.now(), status });
  };
  const goodput = (fromMs: number, untilMs: number): number =>
    (answers.filter(({ atMs, status }) => status === 201 && fromMs <= atMs && atMs < untilMs).length /
      (untilMs - fromMs)) *
    1_000;
  const retries = async (): Promise<number> => {
    const { text } = await client.call({ method: 'GET', url: `${gateway.adminUrl}/metrics` });
    return [...text.matchAll(/^stockgate_retries\{[^}]*\} (\d+)$/gm)].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
  };

  const setting = `${LOAD} times the capacity, an outage of ${OUTAGE_MS / 1_000} s`;
  it(`ends within 10 s, with 90 % of the goodput, few retries and bounded memory: ${setting}`, async () => {
    const capacity = await measureCapacity();
    const memoryBefore = residentBytes(gateway.pid);
    const load = startLoad(capacity * LOAD);
    await sleep(5_000);
    const beforeMs = performance.now();
    const sentBefore = sent;
    await sleep(8_000);
    const before = goodput(beforeMs, performance.now());
    const offered = ((sent - sentBefore) / (performance.now() - beforeMs)) * 1_000;

    for (const server of stack.cluster.servers) server.signal('SIGSTOP');
    const memoryPeak = await largestMemory(OUTAGE_MS);
    const waiting = load.underWay();
    for (const server of stack.cluster.servers) server.signal('SIGCONT');
    const healedMs = performance.now();
    await sleep(10_000);
    const afterMs = performance.now();
    await sleep(8_000);
    const after = goodput(afterMs, performance.now());
    const soon = goodput(healedMs + 2_000, afterMs);
    load.stop();
    await load.done;

    const retried = (await retries()) / sent;
    const grown = memoryPeak - memoryBefore;
    console.log(
      `      ${stack.cluster.product}: goodput after ÷ before ${(after / before).toFixed(2)} ` +
        `(${(soon / before).toFixed(2)} in the first seconds), ` +
        `before ÷ capacity ${(before / capacity).toFixed(2)}, ` +
        `offered ÷ capacity ${(offered / capacity).toFixed(2)}, ` +
        `retries ${(retried * 100).toFixed(2)} % of the load, ${waiting} requests under way in the outage, ` +
        `memory ${(grown / 1_048_576).toFixed(0)} MB more than at rest`,
    );
    expect(offered / capacity).to.be.at.least(LOAD * 0.8);
    expect(before / capacity).to.be.at.least(0.6);
    expect(after / before).to.be.at.least(0.9);
    expect(retried).to.be.at.most(0.1);
    expect(grown).to.be.at.most(MEMORY_BYTES_MAX);
    expect(waiting, 'requests under way in the outage').to.be.at.most(WAITING_MAX);
    const books = await readBooks(stack);
    expect(books.flatMap(({ differences }) => differences)).to.deep.equal([]);
  });

  const largestMemory = async (forMs: number): Promise<number> => {
    const untilMs = performance.now() + forMs;
    let largest = 0;
    while (performance.now() < untilMs) {
      largest = Math.max(largest, residentBytes(gateway.pid));
      await sleep(250);
    }
    return largest;
  };

  const measureCapacity = async (): Promise<number> => {
    const untilMs = performance.now() + CAPACITY_MS;
    const begunMs = performance.now();
    await Promise.all(
      Array.from({ length: CAPACITY_CLIENTS }, async () => {
        while (performance.now() < untilMs) await buy();
      }),
    );
    return goodput(begunMs, untilMs);
  };

  /** Sends at a fixed rate, with or without answers, up to the bound of requests under way. */
  const startLoad = (perSecond: number): { stop(): void; underWay(): number; done: Promise<void> } => {
    let running = true;
    let due = 0;
    const open = new Set<Promise<void>>();
    const done = (async () => {
      const begunMs = performance.now();
      while (running) {
        for (const target = ((performance.now() - begunMs) / 1_000) * perSecond; due < target; due += 1) {
          if (open.size >= IN_FLIGHT_MAX) continue;
          const one = buy().finally(() => open.delete(one));
          open.add(one);
        }
        await sleep(5);
      }
      await Promise.all(open);
    })();
    return { stop: () => (running = false), underWay: () => open.size, done };
  };
});

async function slowCommits({ host, port, user, password }: DatabaseServer, product: string): Promise<void> {
  const session = await mysql.createConnection({ host, port, user, password });
  const statements = product.startsWith('MySQL')
    ? [`SET GLOBAL binlog_group_commit_sync_delay = ${COMMIT_MS * 1_000}`]
    : [`SET GLOBAL binlog_commit_wait_usec = ${COMMIT_MS * 1_000}`, 'SET GLOBAL binlog_commit_wait_count = 1000'];
  for (const statement of statements) await session.query(statement);
  await session.end();
}

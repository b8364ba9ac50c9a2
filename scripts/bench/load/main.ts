/** The built-in load generator, a process of its own: takes LoadOptions as JSON, prints Counted as JSON. */
import { readFileSync } from 'node:fs';
import { openConnection } from './connection.ts';
import type { LoadConnection } from './connection.ts';
import { againAfter } from './contract.ts';
import type { Counted, LoadOptions } from './contract.ts';
import { ascending, percentile } from '../../support/latencies.ts';
import { orderMaker } from './orders.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as LoadOptions;
const { hostname, port, host } = new URL(options.url);
const baskets = readFileSync(options.basketFile, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => line.split(','));
const { prefix, traffic } = options;
const orders = orderMaker({ host, baskets, prefix, traffic, againAfter: againAfter(options.connections) });

/** The first share of a run. Its latencies are not kept, because Node.js still compiles this program. */
const UNTIMED_SHARE = 0.25;

const latenciesMs: number[] = [];
let timedFromMs = 0;
let answered = 0;
let refused = 0;
let broken = 0;
let endMs = 0;

/** Sends one order. @param dueMs the moment when it was due; its latency counts from there */
function sendOrder(connection: LoadConnection, dueMs: number, onAnswered: (nowMs: number) => void): void {
  connection.send(orders.next(), (status) => {
    const nowMs = performance.now();
    if (nowMs <= endMs) {
      answered += 1;
      if (dueMs >= timedFromMs) latenciesMs.push(nowMs - dueMs);
      if (status >= 400) refused += 1;
    }
    onAnswered(nowMs);
  });
}

/** Every connection sends again as soon as it was answered. */
function closedLoop(connections: readonly LoadConnection[]): void {
  const again = (connection: LoadConnection, nowMs: number): void => {
    if (nowMs < endMs) sendOrder(connection, nowMs, (answeredMs) => again(connection, answeredMs));
  };
  for (const connection of connections) again(connection, performance.now());
}

/** Sends at fixed moments. A request that is due while no connection is free waits; its latency includes the wait. */
function openLoop(connections: readonly LoadConnection[], startMs: number, rate: number): void {
  const free = [...connections];
  let sent = 0;
  const sendDue = (): void => {
    const nowMs = performance.now();
    if (nowMs >= endMs) return clearInterval(timer);
    for (; free.length > 0; sent += 1) {
      const dueMs = startMs + (sent * 1_000) / rate;
      if (dueMs > nowMs) return;
      const connection = free.pop();
      if (connection === undefined) return;
      sendOrder(connection, dueMs, () => {
        free.push(connection);
        sendDue();
      });
    }
  };
  const timer = setInterval(sendDue, 1);
}

const connections = await Promise.all(
  Array.from({ length: options.connections }, () => openConnection(hostname, Number(port), () => (broken += 1))),
);
const startMs = performance.now();
const startCpu = process.cpuUsage();
timedFromMs = startMs + options.seconds * 1_000 * UNTIMED_SHARE;
endMs = startMs + options.seconds * 1_000;
if (options.rate === undefined) closedLoop(connections);
else openLoop(connections, startMs, options.rate);
await new Promise((resolve) => setTimeout(resolve, options.seconds * 1_000));
const { user, system } = process.cpuUsage(startCpu);
for (const connection of connections) connection.close();

const sorted = ascending(latenciesMs);
const counted: Counted = {
  requests: answered,
  refused,
  broken,
  seconds: options.seconds,
  ...orders.counts,
  cpuSeconds: (user + system) / 1e6,
  p50Ms: percentile(sorted, 0.5),
  p99Ms: percentile(sorted, 0.99),
};
console.log(JSON.stringify(counted));
process.exit();

import { Gauge } from 'prom-client';
import type { Aggregator, Registry } from 'prom-client';
import type { ShardState } from '../core/ports/shardOverview.ts';

const SHARD_STATES = ['untried', 'serving', 'unreachable', 'refused'] as const;

/** Makes the series of shards and their connections. @param shards read at each scrape */
export function shardSeries(registers: Registry[], shards: () => readonly ShardState[]): void {
  const perShard = (
    name: string,
    help: string,
    value: (state: ShardState) => number,
    aggregator: Aggregator = 'sum',
  ): void => {
    new Gauge({
      name,
      help,
      aggregator,
      labelNames: ['shard'] as const,
      registers,
      collect() {
        for (const state of shards()) this.set({ shard: state.name }, value(state));
      },
    });
  };
  perShard(
    'stockgate_breaker_open',
    '1 while the shard has not been answering',
    ({ breaker }) => Number(breaker === 'open'),
    'max',
  );
  perShard('stockgate_retries', 'Transactions tried again since the start', ({ retries }) => retries);
  perShard('stockgate_pool_connections', 'Open connections of the pool', ({ pool }) => pool.open);
  perShard('stockgate_pool_connections_max', 'Connections the pool may open', ({ pool }) => pool.connections_max);
  perShard('stockgate_pool_busy', 'Connections in use', ({ pool }) => pool.busy);
  perShard('stockgate_pool_waiting', 'Requests that wait for a connection', ({ pool }) => pool.waiting);
  perShard('stockgate_pool_waiting_max', 'Requests that may wait for a connection', ({ pool }) => pool.waiting_max);
  stateSeries(registers, shards);
}

function stateSeries(registers: Registry[], shards: () => readonly ShardState[]): void {
  new Gauge({
    name: 'stockgate_shard_state',
    help: '1 for the state the shard is in, 0 for the others',
    // When processes differ, the state of each of them is 1.
    aggregator: 'max',
    labelNames: ['shard', 'state'] as const,
    registers,
    collect() {
      for (const { name, state } of shards()) {
        for (const candidate of SHARD_STATES) this.set({ shard: name, state: candidate }, state === candidate ? 1 : 0);
      }
    },
  });
}

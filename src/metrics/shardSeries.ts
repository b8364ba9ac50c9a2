import { Gauge } from 'prom-client';
import type { Aggregator, Registry } from 'prom-client';
import type { ShardState } from '../core/ports/shardOverview.ts';

/** The states of a shard, each with a series of its own. */
export const SHARD_STATES = ['untried', 'serving', 'unreachable', 'refused'] as const;

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
    '1 while the breaker of the shard rejects requests, because the shard does not answer; else 0',
    ({ breaker }) => Number(breaker === 'open'),
    'max',
  );
  perShard('stockgate_retries', 'Transactions that were tried again since the start', ({ retries }) => retries);
  perShard('stockgate_pool_connections', 'Open connections to the shard', ({ pool }) => pool.open);
  perShard(
    'stockgate_pool_connections_max',
    'The most connections to the shard that may be open',
    ({ pool }) => pool.connections_max,
  );
  perShard('stockgate_pool_busy', 'Connections to the shard that are in use', ({ pool }) => pool.busy);
  perShard('stockgate_pool_waiting', 'Requests that wait for a connection to the shard', ({ pool }) => pool.waiting);
  perShard(
    'stockgate_pool_waiting_max',
    'The most requests that may wait for a connection to the shard',
    ({ pool }) => pool.waiting_max,
  );
  stateSeries(registers, shards);
}

function stateSeries(registers: Registry[], shards: () => readonly ShardState[]): void {
  new Gauge({
    name: 'stockgate_shard_state',
    help: '1 for the state of the shard, 0 for the other states',
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

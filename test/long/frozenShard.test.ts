import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { startGatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import type { HttpClient } from '../../scripts/support/httpClient.ts';
import { startStack } from '../../scripts/support/stack.ts';
import type { Stack } from '../../scripts/support/stack.ts';
import { startPinnedClients } from '../support/systems/pinnedClients.ts';
import type { Attempt, PinnedClients } from '../support/systems/pinnedClients.ts';
import { residentBytes } from '../support/run/processMemory.ts';
import { skuOn } from '../support/engines/traffic.ts';

const SHARDS = 16;
/** The only shard on the second server. */
const FROZEN = 15;
const CLIENTS_PER_SHARD = 4;
const PHASE_MS = 6_000;
const ROUNDS = 5;
const MEMORY_BYTES_MAX = 50 * 1024 * 1024;

describe('one frozen shard', () => {
  let stack: Stack;
  let gateway: GatewayProcess;
  let client: HttpClient;
  let clients: PinnedClients;
  const sku_ids = Array.from({ length: SHARDS }, (_, shard) => skuOn(shard, 'frozen'));

  before(async () => {
    stack = await startStack({
      servers: 2,
      serverOf: (shard) => Number(shard === FROZEN),
      dataDirectory: '.local',
      onProgress: () => undefined,
    });
    gateway = await startGatewayProcess({
      ...stack.environment,
      PORT: '0',
      ADMIN_PORT: '0',
      STOCKGATE_LOG_LEVEL: 'silent',
    });
    client = httpClient(1_000);
    for (const sku_id of sku_ids) {
      const url = `${gateway.adminUrl}/v1/skus/${sku_id}`;
      expect((await client.call({ method: 'PUT', url, body: { leaved_amount: 100_000_000 } })).status).to.equal(201);
    }
  });
  after(async () => {
    stack.cluster.servers[1]?.signal('SIGCONT');
    client.close();
    await gateway.stop();
    await stack.stop();
  });

  it('leaves the other shards 95 % of their rate, 1.2 times their p99, and the same memory', async () => {
    clients = startPinnedClients({ client, publicUrl: gateway.publicUrl, sku_ids, clientsPerShard: CLIENTS_PER_SHARD });
    await sleep(8_000);
    const arms = { control: [] as Attempt[][], frozen: [] as Attempt[][] };
    const memory = { control: 0, frozen: 0 };
    // The arms alternate, so that a machine whose speed changes favours neither.
    for (let round = 0; round < ROUNDS; round += 1) {
      arms.control.push(await phase());
      memory.control = Math.max(memory.control, residentBytes(gateway.pid));
      stack.cluster.servers[1]?.signal('SIGSTOP');
      arms.frozen.push(await phase());
      memory.frozen = Math.max(memory.frozen, residentBytes(gateway.pid));
      stack.cluster.servers[1]?.signal('SIGCONT');
      await sleep(3_000);
    }
    await clients.stop();

    const rate = arms.frozen.flat().length / arms.control.flat().length;
    // One slow moment of the machine would set the p99 of all phases of an arm together.
    const p99 = medianOf(arms.frozen.map(p99Of)) / medianOf(arms.control.map(p99Of));
    const grown = memory.frozen - memory.control;
    console.log(
      `      ${stack.cluster.product}: rate ${rate.toFixed(2)}, p99 ${p99.toFixed(2)} times the control arm's, ` +
        `memory ${(grown / 1_048_576).toFixed(0)} MB more`,
    );
    expect(rate).to.be.at.least(0.95);
    expect(p99).to.be.at.most(1.2);
    expect(grown).to.be.at.most(MEMORY_BYTES_MAX);
  });

  /** The sales of the other shards in one phase. */
  const phase = async (): Promise<Attempt[]> => {
    const begun = clients.attempts.length;
    await sleep(PHASE_MS);
    return clients.attempts.slice(begun).filter(({ shard, status }) => shard !== FROZEN && status === 201);
  };
});

function p99Of(attempts: readonly Attempt[]): number {
  const sorted = attempts.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

import { expect } from 'chai';
import { startGatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import type { HttpClient } from '../../scripts/support/httpClient.ts';
import { startStack } from '../../scripts/support/stack.ts';
import type { Stack } from '../../scripts/support/stack.ts';

describe('a server whose SYSDATE() is NOW()', () => {
  let stack: Stack;
  let gateway: GatewayProcess;
  let client: HttpClient;

  before(async () => {
    stack = await startStack({
      servers: 1,
      dataDirectory: '.local',
      onProgress: () => undefined,
      extraArguments: ['--sysdate-is-now'],
    });
    gateway = await startGatewayProcess({
      ...stack.environment,
      PORT: '0',
      ADMIN_PORT: '0',
      STOCKGATE_LOG_LEVEL: 'silent',
    });
    client = httpClient(1_000);
  });
  after(async () => {
    client?.close();
    await gateway?.stop();
    await stack?.stop();
  });

  it('is refused, because a batch could not detect there that it is late', async () => {
    const { shards } = (await client.call({ method: 'GET', url: `${gateway.adminUrl}/v1/shards` })).body;
    expect(shards).to.have.length(16);
    for (const { state, reason } of shards) {
      expect({ state, reason }).to.deep.equal({
        state: 'refused',
        reason: 'its server was started with --sysdate-is-now, so its clock stands still within a statement',
      });
    }
  });
});

import { readFileSync } from 'node:fs';
import { startGatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import type { GatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import type { ShardsFile } from '../../../src/config/shardsFile.ts';
import type { EngineName } from '../engines/engines.ts';
import { startPacketProxy } from '../wire/packetProxy.ts';
import type { PacketProxy } from '../wire/packetProxy.ts';
import type { SweepBench } from './sweepBench.ts';
import type { TemporaryFolder } from '../run/temporary.ts';

/** A gateway behind a proxy, both of its own, which runs one case after the other. */
export interface SweepLane {
  readonly proxy: PacketProxy;
  /** The running gateway; a new one when the last was killed. */
  gateway(): Promise<GatewayProcess>;
  kill(): void;
  stop(): Promise<void>;
}

/** @param shard the shard that the gateway reaches through the proxy */
export async function startSweepLane(
  bench: SweepBench,
  folder: TemporaryFolder,
  shard: number,
  engine: EngineName,
): Promise<SweepLane> {
  const content = JSON.parse(readFileSync(bench.own.environment['STOCKGATE_SHARDS'] ?? '', 'utf8')) as ShardsFile;
  const primary = content.shards[shard]?.primary;
  if (primary === undefined) throw new RangeError(`there is no shard ${shard}`);
  const proxy = await startPacketProxy({ ...primary });
  Object.assign(primary, { host: '127.0.0.1', port: proxy.port });
  const file = folder.write(`shards-${proxy.port}.json`, JSON.stringify(content));
  const environment = {
    ...bench.own.environment,
    STOCKGATE_ENGINE: engine,
    STOCKGATE_SHARDS: file,
    PORT: '0',
    ADMIN_PORT: '0',
    STOCKGATE_LOG_LEVEL: 'silent',
  };
  let running: GatewayProcess | null = null;
  const kill = (): void => {
    running?.signal('SIGKILL');
    running = null;
  };
  return {
    proxy,
    gateway: async () => (running ??= await startGatewayProcess(environment)),
    kill,
    async stop() {
      const last = running;
      kill();
      await last?.exited;
      await proxy.close();
    },
  };
}

import { Command, Option } from 'commander';
import { startGatewayProcess } from './support/gatewayProcess.ts';
import { stopOnSignalOrParentExit } from './support/lifetime.ts';
import { startStack } from './support/stack.ts';
import { wholeNumber } from '../src/commands/support/wholeNumber.ts';

const program = new Command('npm run local --')
  .description(
    'Starts MySQL servers, migrates them, starts a gateway for local use, and prints one line when it is ready. ' +
      'Stops all of it on Ctrl-C or SIGTERM. ' +
      'The data stay for the next start; delete the data directory to start from empty databases.',
  )
  .addOption(new Option('--data-dir <folder>', 'the folder of servers and data').env('DATA_DIR').default('.local'))
  .addOption(new Option('--port <port>', 'the public listener').env('PORT').default('8080'))
  .addOption(new Option('--admin-port <port>', 'the admin listener').env('ADMIN_PORT').default('8081'))
  .addOption(
    new Option('--workers <count>', 'processes of the gateway, behind the same two listeners')
      .env('STOCKGATE_WORKERS')
      .argParser(wholeNumber(1))
      .default(1),
  )
  .option('--servers <count>', 'how many MySQL servers carry the 16 shards', wholeNumber(1), 1)
  .option(
    '--replicas <count>',
    'the number of replicas of each server (MySQL only); their data are separate from those without replicas',
    wholeNumber(0),
    0,
  )
  .option('--semi-sync', 'a commit waits until a replica has it', false)
  .parse();

const options = program.opts<{
  dataDir: string;
  port: string;
  adminPort: string;
  workers: number;
  servers: number;
  replicas: number;
  semiSync: boolean;
}>();
if (options.semiSync && options.replicas === 0)
  program.error('error: --semi-sync needs --replicas: a commit would wait for no replica');
const started: { stop(): Promise<unknown> }[] = [];

/** Last started, first stopped. */
async function stopAll(): Promise<void> {
  for (const part of started.splice(0).reverse()) await part.stop();
}

async function main(): Promise<void> {
  stopOnSignalOrParentExit(stopAll, 0);
  const stack = await startStack({
    servers: options.servers,
    replicas: options.replicas,
    semiSync: options.semiSync,
    dataDirectory: options.dataDir,
    // Another number of servers distributes the shards differently, so it has data of its own. Servers with replicas
    // have data of their own too: replication starts with the first transaction, which has a GTID only there.
    keep: `local_${options.servers}${options.replicas > 0 ? `_replicas_${options.replicas}` : ''}`,
    onProgress: (line) => console.error(line),
  });
  started.push(stack);
  const gateway = await startGatewayProcess({
    ...stack.environment,
    PORT: options.port,
    ADMIN_PORT: options.adminPort,
    STOCKGATE_WORKERS: String(options.workers),
  });
  started.push(gateway);
  console.log(`ready ${gateway.publicUrl} admin ${gateway.adminUrl}`);
  await gateway.exited;
  if (started.length > 0) throw new Error('the gateway ended unexpectedly');
}

main().catch(async (error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  await stopAll();
  process.exit(1);
});

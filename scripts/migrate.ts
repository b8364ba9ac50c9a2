import { Command, Option } from 'commander';
import { KnexMigrator } from '../src/mysql/migrator.ts';
import { migrateShards } from '../src/service/migrateShards.ts';
import type { MigrationResult } from '../src/service/migrateShards.ts';
import { loadShards } from '../src/shardsFile.ts';
import { projectPath } from './support/paths.ts';
import { progressBar } from './support/progress.ts';
import { fail, printTable } from './support/report.ts';
import { wholeNumber } from './support/wholeNumber.ts';

const program = new Command('npm run migrate --')
  .description('Brings the schemas of all shards up to date, or tells how they stand. Can be repeated at any time.')
  .addOption(
    new Option('--shards <file>', 'the file that lists the shards').env('STOCKGATE_SHARDS').default('shards.config.ts'),
  )
  .option('--timeout <seconds>', 'the longest one shard may take', wholeNumber(1), 60);

program.command('status').description('show a row per shard; non-zero when any is behind').action(() => run(false, false));
program
  .command('up')
  .description('apply what is pending, on all shards in parallel')
  .option('--create-schemas', 'create schemas that do not exist yet', false)
  .action((options: { createSchemas: boolean }) => run(true, options.createSchemas));

async function run(apply: boolean, createSchemas: boolean): Promise<void> {
  const { shards: file, timeout } = program.opts<{ shards: string; timeout: number }>();
  const { initialShards, shards } = await loadShards(file, process.env);
  const migrator = new KnexMigrator({
    addresses: shards.map(({ address }) => address),
    initialShards,
    directory: projectPath('migrations'),
    createSchemas,
  });
  const progress = progressBar(apply ? 'migrating' : 'reading', shards.length, 'shards');
  const results = await migrateShards({
    migrator,
    shardCount: shards.length,
    apply,
    shardMs: timeout * 1_000,
    onResult: () => progress.add(1),
  });
  progress.stop();
  printTable(
    ['shard', 'applied', 'pending', 'slots', 'result'],
    results.map((result) => [
      shards[result.shard]?.name ?? String(result.shard),
      result.status?.applied.length ?? '-',
      result.status?.pending.length ?? '-',
      result.status?.slot_count ?? '-',
      verdict(result),
    ]),
  );
  const behind = results.filter(({ status }) => status === null || status.pending.length > 0 || status.slot_count === null);
  if (behind.length > 0) {
    const names = behind.map(({ shard }) => shards[shard]?.name).join(', ');
    fail(`${behind.length} of ${results.length} shards are not up to date (${names}); \`npm run migrate -- up\` can be repeated`);
  }
  // A shard that never answered may still hold a socket open.
  process.exit(process.exitCode ?? 0);
}

function verdict({ fault, appliedNow, status }: MigrationResult): string {
  if (fault !== null) return fault;
  if (status !== null && status.foreign.length > 0) return `newer than this checkout: ${status.foreign.join(', ')}`;
  if (appliedNow.length > 0) return `applied ${appliedNow.join(', ')}`;
  return status !== null && status.pending.length === 0 && status.slot_count !== null ? 'up to date' : 'behind';
}

program.parseAsync().catch((error: unknown) => {
  fail(error instanceof Error ? error.message : String(error));
  process.exit();
});

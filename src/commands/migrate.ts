import { withTimeout } from '../core/async/withTimeout.ts';
import { Command, Option } from 'commander';
import type { LockHolder, LockReport } from '../core/ports/shardMigrator.ts';
import { KnexMigrator } from '../mysql/migrations/migrator.ts';
import { migrateShards } from '../service/migrateShards.ts';
import { readShards } from './support/readShards.ts';
import type { ShardConfig } from '../config/shardsFile.ts';
import { precheckOff } from './migrate/precheckOff.ts';
import { isBehind, outcomeText, SHUT_OUT_COMMAND, waitingText } from './migrate/schemaReport.ts';
import { projectPath } from '../projectPath.ts';
import { progressBar } from './support/progress.ts';
import { exitAfterFlush, fail, printTable } from './support/report.ts';
import { wholeNumber } from './support/wholeNumber.ts';
import { errorText } from '../core/text/errorText.ts';

/** Time for the reads before and after the wait. */
const READ_MS = 30_000;

const program = new Command('npm run migrate --')
  .description('Brings the schemas of all shards up to date, or reports their state. Can be repeated at any time.')
  .addOption(
    new Option('--shards <file>', 'the file that lists the shards').env('STOCKGATE_SHARDS').default('shards.config.ts'),
  )
  .option('--timeout <seconds>', 'the longest one shard may take', wholeNumber(1), 60);

program
  .command('status')
  .description('show a row per shard; non-zero when any is behind')
  .action(() => run(false, { createSchemas: false, shutOutOlder: false }));
program
  .command('up')
  .description(
    'apply pending migrations, on all shards in parallel. On shards in use, stop before a migration that shuts out ' +
      'gateways of the version before',
  )
  .option('--create-schemas', 'create schemas that do not exist yet', false)
  .option('--shut-out-older', 'also apply migrations that shut out older gateways, when none runs any more', false)
  .action((options: UpOptions) => run(true, options));

program
  .command('unlock')
  .description(
    'find the lock that blocks a migration: remove the mark of a run that was killed, and name a run that is alive; ' +
      'non-zero while a run is alive',
  )
  .option('--end', 'end the connection of a run that hangs; its migration stays half done, and `up` finishes it', false)
  .action((options: { end: boolean }) => unlockAll(options.end));

program
  .command('precheck-off')
  .description(
    'turn off the restock delay, which stays on after the pre-check was used: new units of an empty row are not sold ' +
      'for a second. Without --yes, only show the delay of each shard. ' +
      'Non-zero when the delay stays on because a gateway with STOCKGATE_PRECHECK runs',
  )
  .option('--yes', 'turn the delay off; takes half a minute, and can be repeated', false)
  .action((options: { yes: boolean }) => precheckOff(program.opts(), options.yes));

interface UpOptions {
  readonly createSchemas: boolean;
  readonly shutOutOlder: boolean;
}

async function open(
  createSchemas: boolean,
): Promise<{ migrator: KnexMigrator; shards: readonly ShardConfig[]; shardMs: number }> {
  const { shards: file, timeout } = program.opts<{ shards: string; timeout: number }>();
  const { initialShards, shards } = await readShards(file);
  const addresses = shards.map(({ address }) => address);
  return {
    migrator: new KnexMigrator({ addresses, initialShards, directory: projectPath('migrations'), createSchemas }),
    shards,
    shardMs: timeout * 1_000,
  };
}

async function unlockAll(endsHolder: boolean): Promise<void> {
  const { migrator, shards, shardMs } = await open(false);
  const rows = await Promise.all(
    shards.map(async ({ name }, shard): Promise<[string, string]> => {
      try {
        const end = endsHolder ? { waitMs: shardMs, onWait: waitingFor(name) } : null;
        const waitMs = shardMs + READ_MS;
        const noAnswer = (): Error => new Error(`no answer within ${waitMs / 1_000} s`);
        return [name, inWords(await withTimeout(migrator.unlock(shard, end), waitMs, noAnswer), name)];
      } catch (error) {
        const fault = errorText(error);
        fail(`${name}: ${fault}`);
        return [name, fault];
      }
    }),
  );
  printTable(['shard', 'lock'], rows);
  await exitAfterFlush();
}

function inWords({ holder, ending, wasLeftLocked, next }: LockReport, name: string): string {
  if (next !== null) fail(`${name}: another migration runs now, on ${nameOf(next)}`);
  if (holder === null)
    return wasLeftLocked ? 'left by a run that died; removed' : next === null ? 'none' : `held by ${nameOf(next)}`;
  if (ending === 'left') {
    fail(`${name}: a migration runs, or hangs; --end ends it`);
    return `held by ${nameOf(holder)}`;
  }
  const how = ending === 'ended' ? 'it was ended' : 'it ended by itself before it was ended';
  const left = next === null ? (wasLeftLocked ? 'its mark was removed' : 'left none') : `now held by ${nameOf(next)}`;
  return `held by ${nameOf(holder)}; ${how}, and ${left}`;
}

function nameOf({ connection, from, user, seconds, doing }: LockHolder): string {
  return `connection ${connection} of ${user} from ${from}, for ${seconds} s: ${doing}`;
}

/** The rollback of a large change takes minutes, so the command reports that it waits. */
function waitingFor(name: string): (holder: LockHolder, seconds: number) => void {
  return ({ connection }, seconds) =>
    console.error(
      `${name}: connection ${connection} was ended; the server has been rolling back its change for ${seconds} s`,
    );
}

async function run(apply: boolean, { createSchemas, shutOutOlder }: UpOptions): Promise<void> {
  const { migrator, shards, shardMs } = await open(createSchemas);
  const progress = progressBar(apply ? 'migrating' : 'reading', shards.length, 'shards');
  const results = await migrateShards({
    migrator,
    shardCount: shards.length,
    apply,
    shutsOutOlder: shutOutOlder,
    shardMs,
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
      outcomeText(result),
    ]),
  );
  const waiting = waitingText(results);
  if (waiting !== null) console.log(waiting);
  const behind = results.filter(({ status }) => status === null || isBehind(status));
  if (behind.length > 0) {
    const names = behind.map(({ shard }) => shards[shard]?.name).join(', ');
    const isWaiting = behind.every(({ status }) => status !== null && status.pending.length === 0);
    fail(
      `${behind.length} of ${results.length} shards are not up to date (${names}); ` +
        `run \`${isWaiting ? SHUT_OUT_COMMAND : 'npm run migrate -- up'}\` (it can be repeated)`,
    );
  }
  // A shard that never answered may keep a socket open.
  await exitAfterFlush();
}

program.parseAsync().catch((error: unknown) => {
  fail(errorText(error));
  return exitAfterFlush();
});

/** Initialised data directories, made once per version and copied for each server. */
import { constants } from 'node:fs';
import { access, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { productName } from './installation.ts';
import type { Installation } from './installation.ts';
import { makeOnce, ownPath } from './ownership.ts';
import { run } from './run.ts';
import { ACCOUNT, baseArguments } from './settings.ts';

/** To be raised when what is in a template changes. */
const REVISION = 1;
const INITIALISE_LIMIT_MS = 60_000;
const COPY_LIMIT_MS = 60_000;

/** One statement a line, as servers want it while they initialise. */
const ACCOUNT_STATEMENTS = ['127.0.0.1', 'localhost']
  .map((host) => `'${ACCOUNT.user}'@'${host}'`)
  .flatMap((account) => [
    `CREATE USER ${account} IDENTIFIED BY '${ACCOUNT.password}';\n`,
    `GRANT ALL PRIVILEGES ON *.* TO ${account} WITH GRANT OPTION;\n`,
  ])
  .join('');

/** Which server initialised some data; kept beside every copy. Data of one product must not meet the other. */
export interface MadeBy extends Pick<Installation, 'kind' | 'version'> {
  /** Where containers have them; absent: they are here. */
  volume?: string;
}

/**
 * The template for a server's version; made when it is not there yet.
 *
 * @returns its folder, with the data in `data`.
 * @throws when the server cannot initialise data here.
 */
export async function makeTemplate(
  installation: Installation,
  directory: string,
  say: (line: string) => void,
): Promise<string> {
  const { kind, version } = installation;
  const template = join(directory, `${kind}-${version}-${REVISION}`);
  await makeOnce<MadeBy>(template, async (temporary) => {
    say(`initialising ${productName(installation)}`);
    const data = join(temporary, 'data');
    await (kind === 'mysql' ? initialiseMySql : initialiseMariaDb)(installation, data);
    return { kind, version };
  });
  return template;
}

/** Copies a template to a folder that is not there yet, in full or not at all. */
export async function copyTemplate(template: string, directory: string): Promise<void> {
  const temporary = ownPath(directory);
  await mkdir(dirname(directory), { recursive: true });
  await run({ command: 'cp', arguments: ['-a', '--reflink=auto', template, temporary], timeoutMs: COPY_LIMIT_MS });
  await rename(temporary, directory);
}

async function initialiseMySql(installation: Installation, data: string): Promise<void> {
  const accounts = `${data}-accounts.sql`;
  await writeFile(accounts, ACCOUNT_STATEMENTS);
  await initialise(installation, data, [
    '--initialize-insecure',
    `--init-file=${accounts}`,
    '--loose-innodb-redo-log-capacity=32M',
  ]);
  await rm(accounts);
  // It holds the server's own id: copies must make up one each.
  await rm(join(data, 'auto.cnf'), { force: true });
}

/**
 * What `mariadb-install-db` does, without the programs that it calls and the server's package lacks: the system tables'
 * scripts go through a server that does nothing else.
 */
async function initialiseMariaDb(installation: Installation, data: string): Promise<void> {
  await mkdir(data);
  const scripts = await readSystemScripts(installation.shareDirectories);
  const input = `${data}-bootstrap.sql`;
  await writeFile(
    input,
    [
      'CREATE DATABASE mysql;\nUSE mysql;\n',
      // Without this the scripts make root log in by a plugin that is not there.
      'SET @auth_root_socket = NULL;\n',
      ...scripts,
      '\nFLUSH PRIVILEGES;\n',
      ACCOUNT_STATEMENTS,
    ].join(''),
  );
  const stdin = await open(input, constants.O_RDONLY);
  try {
    const settings = [
      '--bootstrap',
      '--enforce-storage-engine=',
      '--max-allowed-packet=8M',
      '--innodb-log-file-size=16M',
    ];
    await initialise(installation, data, settings, stdin.fd);
  } finally {
    await stdin.close();
  }
  await rm(input);
}

async function initialise(
  installation: Installation,
  data: string,
  settings: readonly string[],
  stdin?: number,
): Promise<void> {
  const [command, ...before] = installation.command;
  await run({
    command,
    arguments: [...before, ...baseArguments(installation, data), ...settings],
    timeoutMs: INITIALISE_LIMIT_MS,
    ...(stdin !== undefined && { stdin }),
  });
}

async function readSystemScripts(shareDirectories: readonly string[]): Promise<string[]> {
  for (const directory of shareDirectories) {
    // They were renamed in MariaDB 11.
    for (const prefix of ['mariadb', 'mysql']) {
      const files = ['system_tables', 'performance_tables', 'system_tables_data'].map((name) =>
        join(directory, `${prefix}_${name}.sql`),
      );
      const present = await Promise.all(
        files.map((file) =>
          access(file).then(
            () => true,
            () => false,
          ),
        ),
      );
      if (present.every(Boolean)) return Promise.all(files.map((file) => readFile(file, 'utf8')));
    }
  }
  throw new Error(`MariaDB's system table scripts are in none of ${shareDirectories.join(', ')}`);
}

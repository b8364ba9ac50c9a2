/** Initialised data directories, made once per version and copied for each server. */
import { constants } from 'node:fs';
import { access, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { productName } from './installation.ts';
import type { Installation } from './installation.ts';
import { makeOnce, ownPath } from '../ownership.ts';
import { run } from '../run.ts';
import { ACCOUNT, baseArguments } from '../settings.ts';

/** Raise this when the content of a template changes. */
const REVISION = 1;
const INITIALISE_LIMIT_MS = 60_000;
const COPY_LIMIT_MS = 60_000;

/** One statement a line, as servers require it during initialisation. */
const ACCOUNT_STATEMENTS = ['127.0.0.1', 'localhost']
  .map((host) => `'${ACCOUNT.user}'@'${host}'`)
  .flatMap((account) => [
    `CREATE USER ${account} IDENTIFIED BY '${ACCOUNT.password}';\n`,
    `GRANT ALL PRIVILEGES ON *.* TO ${account} WITH GRANT OPTION;\n`,
  ])
  .join('');

/** The server that initialised the data; stored with every copy. A product must not open data of the other one. */
export interface DataOrigin extends Pick<Installation, 'kind' | 'version'> {
  /** The volume of containers that holds the data; absent: they are in this folder. */
  volume?: string;
}

/**
 * The template for a server's version; made if it does not exist.
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
  await makeOnce<DataOrigin>(template, async (temporary) => {
    say(`initialising ${productName(installation)}`);
    const data = join(temporary, 'data');
    await (kind === 'mysql' ? initialiseMySql : initialiseMariaDb)(installation, data);
    return { kind, version };
  });
  return template;
}

/** Copies a template to a new folder, in full or not at all. */
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
  // It contains the id of the server: each copy must get an id of its own.
  await rm(join(data, 'auto.cnf'), { force: true });
}

/**
 * Does the work of `mariadb-install-db`, whose helper programs are not in the server's package: a server in bootstrap
 * mode runs the scripts of the system tables.
 */
async function initialiseMariaDb(installation: Installation, data: string): Promise<void> {
  await mkdir(data);
  const scripts = await readSystemScripts(installation.shareDirectories);
  const input = `${data}-bootstrap.sql`;
  await writeFile(
    input,
    [
      'CREATE DATABASE mysql;\nUSE mysql;\n',
      // Without this the scripts set up a login for root with a plugin that does not exist here.
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
    // The scripts were renamed in MariaDB 11.
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

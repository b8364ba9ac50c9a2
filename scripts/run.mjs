// Runs a command of this project, also in a new clone: installs the packages when they are missing or the lockfile is
// newer, then runs scripts/NAME.ts or, for the commands that ship, src/commands/NAME.ts. It needs only Node.js and npm,
// so it is plain JavaScript.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { installPackages } from './install.mjs';

// The parent of this command. When the parent has ended, `scripts/support/lifetime.ts` ends the command.
const parent = process.ppid;
globalThis[Symbol.for('stockgate.parent')] = parent;

const root = fileURLToPath(new URL('..', import.meta.url));
const command = process.argv[2];
const script = [`${root}scripts/${command}.ts`, `${root}src/commands/${command}.ts`].find((file) => existsSync(file));

if (command === undefined || script === undefined) {
  console.error(`there is no command ${command ?? ''}; see "scripts" in package.json`);
  process.exit(2);
}
try {
  await installPackages(root);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
if (process.ppid !== parent) process.exit(1);

process.argv.splice(1, 2, script);
await import('tsx');
await import(script);

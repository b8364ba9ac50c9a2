import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { generatedPages } from './docs/generatedPages.ts';
import { fail } from '../src/commands/support/report.ts';
import { projectPath } from '../src/projectPath.ts';

const program = new Command('npm run docs --')
  .description(
    'Generates docs/configuration.md from the schemas of the settings, and docs/metrics.md from the registry of the ' +
      'metrics and the alerts.',
  )
  .option('--check', 'write nothing; exit code 1 if a page is not as it would be generated', false)
  .allowExcessArguments(false)
  .parse();

const { check } = program.opts<{ check: boolean }>();
for (const { file, text } of generatedPages()) {
  const path = projectPath(file);
  const isCurrent = existsSync(path) && readFileSync(path, 'utf8') === text;
  if (check && !isCurrent) fail(`${file} is stale: run npm run docs`);
  if (!check) writeFileSync(path, text);
  if (!check || isCurrent) console.log(`${file}: ${isCurrent ? 'unchanged' : 'written'}`);
}

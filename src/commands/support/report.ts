import Table from 'cli-table3';

/** No lines between rows. */
const NO_ROW_LINES = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

/** Prints a table with a head to standard output. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const table = new Table({ head: [...head], style: { head: [], border: [] }, chars: NO_ROW_LINES });
  for (const row of rows) table.push([...row]);
  console.log(table.toString());
}

/** Prints an error to standard error, and makes the command end with a non-zero code. */
export function fail(message: string): void {
  console.error(message);
  process.exitCode = 1;
}

/** Ends the process after all output was written. A pipe buffers 64 KB, and unread output beyond that would be lost. */
export async function exitAfterFlush(): Promise<never> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) => new Promise<void>((resolve) => void stream.write('', () => resolve())),
    ),
  );
  process.exit();
}

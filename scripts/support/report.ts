import Table from 'cli-table3';

/** Rows follow one another without a line between them. */
const NO_ROW_LINES = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

/** Prints rows under a head, to standard output. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const table = new Table({ head: [...head], style: { head: [], border: [] }, chars: NO_ROW_LINES });
  for (const row of rows) table.push([...row]);
  console.log(table.toString());
}

/** Says on standard error what went wrong, and makes the command end with a non-zero code. */
export function fail(message: string): void {
  console.error(message);
  process.exitCode = 1;
}

/** Ends the process once all that was printed was taken: a pipe holds 64 KB, and what waits for its reader would be lost. */
export async function endWhenTold(): Promise<never> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) => new Promise<void>((resolve) => void stream.write('', () => resolve())),
    ),
  );
  process.exit();
}

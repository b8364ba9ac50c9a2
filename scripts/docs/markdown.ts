/** Makes a table. A bar in a cell is escaped, and a line break becomes a space. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`.replaceAll(
      '|  |',
      '| |',
    );
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Marks a name as code. */
export function code(name: string | number | boolean): string {
  return `\`${name}\``;
}

/** Joins names in code: `a`, `b` and `c`. */
export function codes(names: readonly string[], word = 'and'): string {
  const marked = names.map(code);
  return marked.length < 2 ? marked.join('') : `${marked.slice(0, -1).join(', ')} ${word} ${marked.at(-1) ?? ''}`;
}

/** The sum of the values of a metrics page whose rows begin with a text. */
export function sumOf(page: string, begin: string): number {
  return page
    .split('\n')
    .filter((row) => row.startsWith(begin))
    .reduce((total, row) => total + Number(row.split(' ').at(-1)), 0);
}

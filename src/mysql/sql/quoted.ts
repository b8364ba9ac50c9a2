/** A name from the configuration as part of a statement. */
export function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

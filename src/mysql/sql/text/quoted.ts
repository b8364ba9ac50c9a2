/** A name from the configuration as part of a statement. */
export function quotedName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

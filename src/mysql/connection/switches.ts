/** Whether the value of a server's switch means off. Servers return a number or a word. */
export function isOff(value: number | string): boolean {
  return ['0', 'OFF'].includes(String(value).toUpperCase());
}

/** Digits of the largest whole numbers that a JavaScript number holds exactly. */
const DIGITS_MAX = 16;
const ZERO = 0x30;
const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/**
 * The exact value of a decimal number, if it is a whole number from -(2^53 - 1) to 2^53 - 1. `10e-1` is 1;
 * `0.99999999999999999` is not a whole number, although the nearest double is 1. The time is proportional to the length
 * of the text.
 *
 * @param text a number as JSON writes it
 * @returns null for any other value
 */
export function wholeNumberOf(text: string): number | null {
  const [, sign = '', whole = '', fraction = '', power = '0'] = NUMBER.exec(text) ?? [];
  const digits = whole + fraction;
  let from = 0;
  while (digits.charCodeAt(from) === ZERO) from += 1;
  let to = digits.length;
  while (to > from && digits.charCodeAt(to - 1) === ZERO) to -= 1;
  if (from === to) return digits === '' ? null : 0;
  // The value is the digits between the outer zeros, times ten to this power.
  const exponent = Number(power) - fraction.length + (digits.length - to);
  if (exponent < 0 || to - from + exponent > DIGITS_MAX) return null;
  const value = Number(`${sign}${digits.slice(from, to)}${'0'.repeat(exponent)}`);
  return Number.isSafeInteger(value) ? value : null;
}

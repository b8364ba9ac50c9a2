import { InvalidArgumentError } from 'commander';

/** Makes a parser for the value of a flag: a whole number, `min` or more. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < min)
      throw new InvalidArgumentError(`It must be a whole number, ${min} or more.`);
    return Number(text);
  };
}

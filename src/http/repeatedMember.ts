const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/**
 * Tells whether some JSON names a field twice in one object. `JSON.parse` keeps the last and drops the others without a
 * word, so what a caller wrote twice would be half ignored.
 *
 * A text that parses has one colon outside strings per member written; the value has one key per member kept.
 *
 * @param text JSON that parses to `value`
 */
export function hasRepeatedMember(text: string, value: unknown): boolean {
  return membersWritten(text) !== membersKept(value);
}

function membersWritten(text: string): number {
  let members = 0;
  let inString = false;
  for (let place = 0; place < text.length; place += 1) {
    const unit = text.charCodeAt(place);
    if (inString && unit === BACKSLASH) place += 1;
    else if (unit === QUOTE) inString = !inString;
    else if (unit === COLON && !inString) members += 1;
  }
  return members;
}

/** Walks without recursion: a hostile body is nested a hundred thousand deep. */
function membersKept(value: unknown): number {
  let members = 0;
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== 'object' || next === null) continue;
    const children: unknown[] = Array.isArray(next) ? next : Object.values(next);
    if (!Array.isArray(next)) members += children.length;
    for (const child of children) open.push(child);
  }
  return members;
}

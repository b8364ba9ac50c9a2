const MOMENT = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * Reads a moment in ISO 8601 with its zone, `2026-11-26T08:00:00Z` or with `+02:00`. A day that its month does not have
 * is rejected; `Date.parse` would carry it over into the next month.
 *
 * @returns milliseconds since 1970, or null when the text is no such moment
 */
export function momentMs(text: string): number | null {
  const [, year, month, day] = MOMENT.exec(text) ?? [];
  const ms = Date.parse(text);
  if (day === undefined || Number.isNaN(ms)) return null;
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  return Number(day) <= lastDay ? ms : null;
}

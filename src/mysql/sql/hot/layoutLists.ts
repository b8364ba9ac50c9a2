import { layoutFault } from '../../../core/hot/layout.ts';
import type { Layout } from '../../../core/hot/layout.ts';
import { jsonIn } from '../text/json.ts';

/** The columns that store lists of shards, as JSON. */
export interface LayoutLists {
  readonly places: string;
  readonly next_places: string | null;
  readonly earlier: string;
  readonly shards: string;
}

/** A layout that cannot be read, and why. */
export interface UnreadableLayout {
  readonly unreadable: string;
}

/** Adds the lists to the other columns of a layout. @param shardCount shards from this number on do not exist */
export function withLists<L extends Pick<Layout, 'state' | 'epoch' | 'lastEpoch'>>(
  layout: L,
  texts: LayoutLists,
  shardCount: number,
): (L & Pick<Layout, 'placement' | 'nextPlacement' | 'earlierPlacements' | 'shards'>) | UnreadableLayout {
  const [placement, earlierPlacements, shards] = [jsonIn(texts.places), jsonIn(texts.earlier), jsonIn(texts.shards)];
  const nextPlacement = texts.next_places === null ? null : jsonIn(texts.next_places);
  if (!isList(placement)) return { unreadable: noList('places', texts.places) };
  if (nextPlacement !== null && !isList(nextPlacement)) return { unreadable: noList('next_places', texts.next_places) };
  if (!Array.isArray(earlierPlacements) || !earlierPlacements.every(isList))
    return { unreadable: noList('earlier', texts.earlier) };
  if (!isList(shards)) return { unreadable: noList('shards', texts.shards) };
  const read = { ...layout, placement, nextPlacement, earlierPlacements, shards };
  const fault = layoutFault(read, shardCount);
  return fault === null ? read : { unreadable: fault };
}

/** The shards that a layout names; null when the column cannot be read. */
export function shardsIn(text: string): readonly number[] | null {
  const shards = jsonIn(text);
  return isList(shards) ? shards : null;
}

function isList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((one) => Number.isInteger(one));
}

const SHOWN_MAX = 60;

function noList(column: string, text: string | null): string {
  return `${column} is ${JSON.stringify((text ?? '').slice(0, SHOWN_MAX))}, expected a JSON list of shard numbers`;
}

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** A script that a node runs as one step. */
export interface Script {
  readonly lua: string;
  /** Names a script that the node has run before. */
  readonly sha1: string;
}

export function scriptOf(lua: string): Script {
  return { lua, sha1: createHash('sha1').update(lua).digest('hex') };
}

function scriptIn(file: string): Script {
  return scriptOf(readFileSync(new URL(`lua/${file}`, import.meta.url), 'utf8'));
}

export const READ = scriptIn('read.lua');
export const STORE = scriptIn('store.lua');
export const RENEW = scriptIn('renew.lua');
export const TAKE = scriptIn('take.lua');

import { Type } from 'typebox';
import type { Static } from 'typebox';

const primary = Type.Object(
  {
    host: Type.String({ minLength: 1, maxLength: 255 }),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** The MySQL schema (database) that holds this shard. Shards may share a server, never a schema. */
    schema: Type.String({ pattern: '^[A-Za-z0-9_]{1,64}$' }),
    user: Type.String({ minLength: 1, maxLength: 32 }),
    /** The environment variable that holds the password. The password itself never stands in the file. */
    passwordVariable: Type.String({ pattern: '^[A-Z][A-Z0-9_]*$' }),
  },
  { additionalProperties: false },
);

const pool = Type.Object(
  {
    /** Connections of one gateway process to this shard, at most. */
    connections: Type.Integer({ minimum: 1, maximum: 1_000 }),
    /** Requests that may wait for one of them; one more is turned away with `overloaded`. */
    waiting: Type.Integer({ minimum: 0, maximum: 100_000 }),
  },
  { additionalProperties: false },
);

/** The form of `shards.config.ts`. */
export const shardsFileSchema = Type.Object(
  {
    /**
     * How many shards the 1,024 slots were dealt to at first: slot s went to shard s mod this. It never changes, also
     * when shards are added; slots then move one by one.
     */
    initialShards: Type.Integer({ minimum: 1, maximum: 1_024 }),
    /** In a fixed order: a shard is known by its place in this list, so new ones go to the end. */
    shards: Type.Array(
      Type.Object({ name: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }), primary, pool }, { additionalProperties: false }),
      { minItems: 1, maxItems: 1_024 },
    ),
  },
  { additionalProperties: false },
);

/** What `shards.config.ts` exports. */
export type ShardsFile = Static<typeof shardsFileSchema>;

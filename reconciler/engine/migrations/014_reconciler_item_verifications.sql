-- makes: reconciler_item_verifications
-- When a resource that can only be read one by one was last read. Losing it costs one pass that reads everything.
-- A table of its own, and no change of reconciler_verifications from before there were kinds: migrations only add, so
-- that an older version goes on beside this one. That table is not used any more.
CREATE TABLE IF NOT EXISTS reconciler_item_verifications (
    kind        TEXT NOT NULL,
    slug        TEXT NOT NULL,
    resource    TEXT NOT NULL,
    verified_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (kind, slug, resource)
);

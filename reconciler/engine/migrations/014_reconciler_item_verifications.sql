-- makes: reconciler_item_verifications reconciler_item_verifications.identity reconciler_item_verifications.places
-- When a resource that can only be read one by one was last read, what its item was proven to be then, and where the
-- systems were: of an item that had the slug before, or of another address, nothing counts. Losing it costs one pass that
-- reads everything.
-- A table of its own, and no change of reconciler_verifications from before there were kinds: migrations only add, so
-- that an older version goes on beside this one. That table is not used any more.
CREATE TABLE IF NOT EXISTS reconciler_item_verifications (
    kind        TEXT NOT NULL,
    slug        TEXT NOT NULL,
    resource    TEXT NOT NULL,
    verified_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (kind, slug, resource)
);
ALTER TABLE reconciler_item_verifications ADD COLUMN IF NOT EXISTS identity TEXT NOT NULL DEFAULT '';
ALTER TABLE reconciler_item_verifications ADD COLUMN IF NOT EXISTS places TEXT NOT NULL DEFAULT '';

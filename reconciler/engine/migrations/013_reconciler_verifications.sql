-- makes: reconciler_verifications
-- When a resource that can only be read one by one was last read. Losing it costs one pass that reads everything.
CREATE TABLE IF NOT EXISTS reconciler_verifications (
    slug        TEXT NOT NULL,
    resource    TEXT NOT NULL,
    verified_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (slug, resource)
);

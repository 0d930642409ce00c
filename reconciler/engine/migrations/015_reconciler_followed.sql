-- makes: reconciler_followed
-- Which commit of the config repository's branch the last whole pass has seen: a file that is gone since then was taken away by
-- somebody, and is not merely missing. Losing it costs that removals have to be confirmed by name.
CREATE TABLE IF NOT EXISTS reconciler_followed (
    branch      TEXT PRIMARY KEY,
    commit_id   TEXT NOT NULL,
    seen_at     TIMESTAMPTZ NOT NULL
);

-- repo_registry as mesh-six's own second migration makes it: what the reconciler meets in production.
CREATE TABLE repo_registry (
    service_name   TEXT PRIMARY KEY,
    repo_url       TEXT NOT NULL,
    platform       TEXT NOT NULL,
    default_branch TEXT DEFAULT 'main',
    cicd_type      TEXT NOT NULL,
    trigger_method TEXT NOT NULL,
    board_id       TEXT,
    metadata       JSONB DEFAULT '{}',
    created_at     TIMESTAMPTZ DEFAULT now(),
    updated_at     TIMESTAMPTZ DEFAULT now()
);

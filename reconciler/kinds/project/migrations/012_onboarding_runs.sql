-- makes: onboarding_runs idx_onboarding_runs_repo idx_onboarding_runs_status repo_registry.execution_mode
-- One row per project: the queryable copy of what its status file says. History is git's.
-- mesh-six may have made this table already, so nothing here assumes to be first, and every line may run again.
CREATE TABLE IF NOT EXISTS onboarding_runs (
    id                   TEXT PRIMARY KEY,    -- the project's slug
    repo_owner           TEXT NOT NULL,
    repo_name            TEXT NOT NULL,
    status               TEXT NOT NULL DEFAULT 'pending',
                         -- pending | running | waiting_merge | waiting_sync | waiting_auth | completed | failed
                         -- | suspended | offboarding
    current_phase        TEXT,                -- initialization | dev_env | auth_settings
    current_activity     TEXT,                -- the first resource that is neither ok nor skipped
    completed_activities TEXT[] DEFAULT '{}',
    error_message        TEXT,
    oauth_device_url     TEXT,                -- where a person goes to log in
    oauth_user_code      TEXT,                -- what that person types there
    created_at           TIMESTAMPTZ DEFAULT now(),
    updated_at           TIMESTAMPTZ DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_onboarding_runs_repo ON onboarding_runs (repo_owner, repo_name);
CREATE INDEX IF NOT EXISTS idx_onboarding_runs_status ON onboarding_runs (status);

-- repo_registry is mesh-six's: this one column is all that is added to it.
ALTER TABLE repo_registry ADD COLUMN IF NOT EXISTS execution_mode TEXT DEFAULT 'envbuilder';

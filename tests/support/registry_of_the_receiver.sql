-- What an operator adds so that mesh-six's receiver and its own onboarding find what they ask for: no migration has it.
ALTER TABLE repo_registry
    ADD COLUMN owner TEXT,
    ADD COLUMN name TEXT,
    ADD COLUMN full_name TEXT,
    ADD COLUMN github_project_id TEXT,
    ADD COLUMN github_project_url TEXT,
    ADD COLUMN github_project_number INTEGER,
    ADD CONSTRAINT one_row_each UNIQUE (owner, name);

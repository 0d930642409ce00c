-- makes: reconciler_verifications.kind
-- Slugs are one namespace for each kind, so a verification needs the kind too. What is there is of the first kind.
ALTER TABLE reconciler_verifications ADD COLUMN IF NOT EXISTS kind TEXT NOT NULL DEFAULT 'project';
ALTER TABLE reconciler_verifications DROP CONSTRAINT IF EXISTS reconciler_verifications_pkey;
ALTER TABLE reconciler_verifications ADD PRIMARY KEY (kind, slug, resource);

-- The control plane itself ordered the job: people's orders come before.
ALTER TABLE jobs ADD COLUMN automatic BIGINT NOT NULL DEFAULT 0 CHECK (automatic IN (0, 1));
UPDATE jobs SET automatic = 1 WHERE finished_at IS NULL AND operation IN ('repair', 'collect', 'rotate');
DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (automatic, run_at, id) WHERE state = 'pending';

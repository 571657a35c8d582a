-- Each claim has a number of its own: a job that is claimed again, even by the same process, fences off the
-- run before.
ALTER TABLE jobs ADD COLUMN claim BIGINT NOT NULL DEFAULT 0 CHECK (claim >= 0);
-- Somebody asked for the job to turn back. It counts until the pivot is passed.
ALTER TABLE jobs ADD COLUMN cancel_requested BIGINT NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1));
-- What each sweep and each look ask for, whatever the history has grown to.
CREATE INDEX jobs_site ON jobs (site_id, finished_at);
CREATE INDEX jobs_running ON jobs (id) WHERE state = 'running';
CREATE INDEX steps_intended ON steps (job_id) WHERE state = 'intended';

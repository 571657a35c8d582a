-- Parameters of a job whose operation doesn't converge. JSON.
ALTER TABLE jobs ADD COLUMN params TEXT;

-- The code decides which kinds of site there are.
ALTER TABLE sites RENAME COLUMN kind TO kind_checked;
ALTER TABLE sites ADD COLUMN kind TEXT NOT NULL DEFAULT 'wordpress' CHECK (length(kind) BETWEEN 1 AND 32);
UPDATE sites SET kind = kind_checked;
ALTER TABLE sites DROP COLUMN kind_checked;

-- Jobs that were pruned: objects in the world may still name them.
CREATE TABLE pruned_jobs (
    job_id TEXT PRIMARY KEY NOT NULL CHECK (length(job_id) = 36),
    site_id TEXT NOT NULL REFERENCES sites (id),
    finished_at BIGINT NOT NULL
);

-- Jobs that have not ended: few, however long the history.
CREATE INDEX jobs_unended ON jobs (state, operation, site_id) WHERE finished_at IS NULL;
DROP INDEX jobs_running;
DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (run_at, id) WHERE state = 'pending';
-- Lists, each in its order.
CREATE INDEX jobs_of_site ON jobs (site_id, id);
CREATE INDEX jobs_ended ON jobs (state, id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_operation ON jobs (operation, id);
CREATE INDEX jobs_operation_ended ON jobs (operation, state, id) WHERE finished_at IS NOT NULL;
CREATE INDEX sites_any_name ON sites (name, id);
CREATE INDEX sites_status ON sites (status, name, id);
CREATE INDEX subnets_blocked ON subnets (blocked_until) WHERE blocked_until IS NOT NULL;

-- What was found that made somebody order the job who is no person: the drifts that a repair is to mend, the left-over
-- things that a collect is to remove. JSON.
ALTER TABLE jobs ADD COLUMN why TEXT;
-- How often a site was repaired of late.
CREATE INDEX jobs_repairs ON jobs (site_id, finished_at) WHERE operation = 'repair';
-- A collect removes only what it names, and none is of a site in service any more.
UPDATE jobs SET state = 'cancelled', epoch = NULL, waiting_for = NULL, finished_at = created_at
WHERE operation = 'collect' AND state IN ('pending', 'running', 'needs_operator');
UPDATE steps SET state = 'unknown', finished_at = started_at
WHERE state = 'intended' AND job_id IN (SELECT id FROM jobs WHERE operation = 'collect');

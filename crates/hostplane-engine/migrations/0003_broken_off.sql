-- How often in a row a run of the job broke off without an outcome, while its process went on. It is no
-- attempt: nothing is known to be wrong with the site.
ALTER TABLE jobs ADD COLUMN broken_off BIGINT NOT NULL DEFAULT 0 CHECK (broken_off >= 0);

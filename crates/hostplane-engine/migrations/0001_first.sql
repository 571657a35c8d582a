-- Sites, jobs, journal, subnets, tokens. Portable between SQLite and PostgreSQL.
-- Times are microseconds since 1970 UTC; ids are UUIDs in text form.

CREATE TABLE meta (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);

CREATE TABLE sites (
    id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 36),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 32),
    kind TEXT NOT NULL CHECK (kind IN ('wordpress', 'static')),
    status TEXT NOT NULL,
    -- The status before this one: together they are a transition, and only these exist.
    previous_status TEXT,
    details TEXT NOT NULL,
    secret_version BIGINT NOT NULL CHECK (secret_version >= 1),
    -- What was last confirmed outside: `before` of the next operation. NULL is nothing.
    spec TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CHECK (
        (previous_status IS NULL AND status = 'CREATED')
        OR previous_status || '>' || status IN (
            'CREATED>PROVISIONING',
            'FAILED>PROVISIONING',
            'PROVISIONING>ACTIVE',
            'CREATED>FAILED',
            'PROVISIONING>FAILED',
            'ACTIVE>DESTROYING',
            'FAILED>DESTROYING',
            'DESTROYING>DESTROYED'
        )
    ),
    CHECK (status <> 'ACTIVE' OR spec IS NOT NULL),
    CHECK (status NOT IN ('CREATED', 'PROVISIONING', 'FAILED', 'DESTROYED') OR spec IS NULL)
);
CREATE UNIQUE INDEX sites_name ON sites (name) WHERE status <> 'DESTROYED';

CREATE TABLE jobs (
    id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 36),
    site_id TEXT NOT NULL REFERENCES sites (id),
    operation TEXT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'needs_operator')),
    direction TEXT NOT NULL CHECK (direction IN ('forward', 'back')),
    past_pivot BIGINT NOT NULL DEFAULT 0 CHECK (past_pivot IN (0, 1)),
    attempt BIGINT NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    -- A pending job is not claimed before.
    run_at BIGINT NOT NULL,
    waiting_for TEXT,
    -- The claim. Journal writes of an older epoch are refused.
    epoch BIGINT,
    before_spec TEXT,
    after_spec TEXT,
    -- Absence proves nothing before: an effect whose reply was lost may still land.
    settles_at BIGINT,
    error TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    CHECK ((state = 'running' AND epoch IS NOT NULL) OR (state <> 'running' AND epoch IS NULL)),
    CHECK (
        (state IN ('completed', 'failed', 'cancelled') AND finished_at IS NOT NULL)
        OR (state NOT IN ('completed', 'failed', 'cancelled') AND finished_at IS NULL)
    ),
    CHECK (waiting_for IS NULL OR state IN ('pending', 'running')),
    CHECK (past_pivot = 0 OR direction = 'forward')
);
CREATE UNIQUE INDEX jobs_one_active_per_site ON jobs (site_id)
    WHERE state IN ('pending', 'running', 'needs_operator');
CREATE INDEX jobs_due ON jobs (run_at) WHERE state = 'pending';

CREATE TABLE steps (
    job_id TEXT NOT NULL REFERENCES jobs (id),
    seq BIGINT NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('forward', 'back')),
    resource TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('ensure', 'remove')),
    state TEXT NOT NULL CHECK (state IN ('intended', 'done', 'failed', 'unknown')),
    error TEXT,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (job_id, seq)
);

-- A subnet is a site's, or blocked for a while because something else was found to use it.
CREATE TABLE subnets (
    subnet TEXT PRIMARY KEY NOT NULL,
    site_id TEXT UNIQUE REFERENCES sites (id),
    blocked_until BIGINT,
    CHECK ((site_id IS NULL) <> (blocked_until IS NULL))
);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 36),
    -- SHA-256 of the token, in hex: the token itself has 256 random bits, so no slow hash is needed.
    hash TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
    created_at BIGINT NOT NULL
);

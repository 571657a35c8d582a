-- The control database of version 0.1: the site `hello` is ACTIVE, and the control plane was killed while a job
-- changed `shop`. Dumped from what that version wrote.
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'first','2026-11-29 23:41:48',1,X'3C36C8663330B9A0CD8AADBCA5E53E93807774F32DFBE8D2186F44DF8D58D418F770C8F3A702D34E84DB8BB9179D9AB7',1159550);
INSERT INTO "_sqlx_migrations" VALUES(2,'claims and cancel','2026-11-29 23:41:48',1,X'3331D679839F57CD10DD8C49E4E5D56C77A2733023C18430E53FA15C10A195A1FD6A35A8CB411B8C35155D2674BAE366',1117708);
INSERT INTO "_sqlx_migrations" VALUES(3,'broken off','2026-11-29 23:41:48',1,X'FF1BF8E2BCDC3271E145DCDFE12E909993C9E54F63C1EA648B24937B24F70ADF78C3623411AB4C55A11765C8933A8094',596294);
INSERT INTO "_sqlx_migrations" VALUES(4,'token scopes','2026-11-29 23:41:48',1,X'1488F395EB21D7418E4C87ED208B7B06631769D99C039EFB1874F25F762A56F7C485AC7EB1370BED47617B9E63FBA715',1191206);
INSERT INTO "_sqlx_migrations" VALUES(5,'why','2026-11-29 23:41:48',1,X'15209739B62EBAA7DA8D9F734D468B02DACBAB8E441F6DE0642EA039E83861BDBAEEAAF4BD4CDB471C56F3B4DDCBDFC4',723063);
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
    finished_at BIGINT, claim BIGINT NOT NULL DEFAULT 0 CHECK (claim >= 0), cancel_requested BIGINT NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)), broken_off BIGINT NOT NULL DEFAULT 0 CHECK (broken_off >= 0), why TEXT,
    CHECK ((state = 'running' AND epoch IS NOT NULL) OR (state <> 'running' AND epoch IS NULL)),
    CHECK (
        (state IN ('completed', 'failed', 'cancelled') AND finished_at IS NOT NULL)
        OR (state NOT IN ('completed', 'failed', 'cancelled') AND finished_at IS NULL)
    ),
    CHECK (waiting_for IS NULL OR state IN ('pending', 'running')),
    CHECK (past_pivot = 0 OR direction = 'forward')
);
INSERT INTO "jobs" VALUES('01a229af-abb4-721e-b0f5-d9303336a348','01a229af-abb4-721e-b0f5-d92f28d0b64f','provision','completed','forward',1,1,1767225600010887,NULL,NULL,NULL,'{"site":{"id":"01a229af-abb4-721e-b0f5-d92f28d0b64f","name":"hello"},"subnet":"10.213.0.0/29","url":{"host":"hello.localhost","port":8080},"wordpress":{"title":"A site","admin_user":"admin","admin_email":"admin@example.com"},"images":{"php":"hostplane/php:test","nginx":"hostplane/nginx:test"},"limits":{"php":{"memory_mib":512,"cpu_milli":1000,"pids":64,"log_mib":10},"nginx":{"memory_mib":192,"cpu_milli":500,"pids":16,"log_mib":10},"php_workers":5,"database_connections":20,"upload_mib":64},"php":{"memory_mib":256,"max_execution_seconds":60,"max_input_vars":3000,"opcache_mib":64,"disallow_file_edit":true},"mail":null,"shared_network":"hostplane","database_host":"host.docker.internal:3306","secret_version":1,"secret_generation":1,"admin_generation":1,"suspended":false}',NULL,NULL,1767225600010887,1767225600013281,1767225600032937,1,0,0,NULL);
INSERT INTO "jobs" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568','01a229af-abcb-74b3-9144-381beb91ee6a','provision','completed','forward',1,1,1767225600034000,NULL,NULL,NULL,'{"site":{"id":"01a229af-abcb-74b3-9144-381beb91ee6a","name":"shop"},"subnet":"10.213.0.8/29","url":{"host":"shop.localhost","port":8080},"wordpress":{"title":"A site","admin_user":"admin","admin_email":"admin@example.com"},"images":{"php":"hostplane/php:test","nginx":"hostplane/nginx:test"},"limits":{"php":{"memory_mib":512,"cpu_milli":1000,"pids":64,"log_mib":10},"nginx":{"memory_mib":192,"cpu_milli":500,"pids":16,"log_mib":10},"php_workers":5,"database_connections":20,"upload_mib":64},"php":{"memory_mib":256,"max_execution_seconds":60,"max_input_vars":3000,"opcache_mib":64,"disallow_file_edit":true},"mail":null,"shared_network":"hostplane","database_host":"host.docker.internal:3306","secret_version":1,"secret_generation":1,"admin_generation":1,"suspended":false}',NULL,NULL,1767225600034000,1767225600034113,1767225600054553,1,0,0,NULL);
INSERT INTO "jobs" VALUES('01a229af-abe1-71ea-ad94-92c6abc6df94','01a229af-abcb-74b3-9144-381beb91ee6a','update','running','forward',0,1,1767225600055554,NULL,1,'{"site":{"id":"01a229af-abcb-74b3-9144-381beb91ee6a","name":"shop"},"subnet":"10.213.0.8/29","url":{"host":"shop.localhost","port":8080},"wordpress":{"title":"A site","admin_user":"admin","admin_email":"admin@example.com"},"images":{"php":"hostplane/php:test","nginx":"hostplane/nginx:test"},"limits":{"php":{"memory_mib":512,"cpu_milli":1000,"pids":64,"log_mib":10},"nginx":{"memory_mib":192,"cpu_milli":500,"pids":16,"log_mib":10},"php_workers":5,"database_connections":20,"upload_mib":64},"php":{"memory_mib":256,"max_execution_seconds":60,"max_input_vars":3000,"opcache_mib":64,"disallow_file_edit":true},"mail":null,"shared_network":"hostplane","database_host":"host.docker.internal:3306","secret_version":1,"secret_generation":1,"admin_generation":1,"suspended":false}','{"site":{"id":"01a229af-abcb-74b3-9144-381beb91ee6a","name":"shop"},"subnet":"10.213.0.8/29","url":{"host":"shop.localhost","port":8080},"wordpress":{"title":"A site","admin_user":"admin","admin_email":"admin@example.com"},"images":{"php":"hostplane/php:test","nginx":"hostplane/nginx:test"},"limits":{"php":{"memory_mib":512,"cpu_milli":1000,"pids":64,"log_mib":10},"nginx":{"memory_mib":192,"cpu_milli":500,"pids":16,"log_mib":10},"php_workers":5,"database_connections":20,"upload_mib":64},"php":{"memory_mib":128,"max_execution_seconds":60,"max_input_vars":3000,"opcache_mib":64,"disallow_file_edit":true},"mail":null,"shared_network":"hostplane","database_host":"host.docker.internal:3306","secret_version":1,"secret_generation":1,"admin_generation":1,"suspended":false}',NULL,NULL,1767225600055554,1767225600055750,NULL,1,0,0,NULL);
CREATE TABLE meta (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
INSERT INTO "meta" VALUES('epoch','1');
INSERT INTO "meta" VALUES('instance','ea670093-f2bc-4002-a2c8-8e3793953689');
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
INSERT INTO "sites" VALUES('01a229af-abb4-721e-b0f5-d92f28d0b64f','hello','wordpress','ACTIVE','PROVISIONING','{"title":"A site","admin_user":"admin","admin_email":"admin@example.com"}',1,'{"site":{"id":"01a229af-abb4-721e-b0f5-d92f28d0b64f","name":"hello"},"subnet":"10.213.0.0/29","url":{"host":"hello.localhost","port":8080},"wordpress":{"title":"A site","admin_user":"admin","admin_email":"admin@example.com"},"images":{"php":"hostplane/php:test","nginx":"hostplane/nginx:test"},"limits":{"php":{"memory_mib":512,"cpu_milli":1000,"pids":64,"log_mib":10},"nginx":{"memory_mib":192,"cpu_milli":500,"pids":16,"log_mib":10},"php_workers":5,"database_connections":20,"upload_mib":64},"php":{"memory_mib":256,"max_execution_seconds":60,"max_input_vars":3000,"opcache_mib":64,"disallow_file_edit":true},"mail":null,"shared_network":"hostplane","database_host":"host.docker.internal:3306","secret_version":1,"secret_generation":1,"admin_generation":1,"suspended":false}',1767225600010887,1767225600032937);
INSERT INTO "sites" VALUES('01a229af-abcb-74b3-9144-381beb91ee6a','shop','wordpress','ACTIVE','PROVISIONING','{"title":"A site","admin_user":"admin","admin_email":"admin@example.com"}',1,'{"site":{"id":"01a229af-abcb-74b3-9144-381beb91ee6a","name":"shop"},"subnet":"10.213.0.8/29","url":{"host":"shop.localhost","port":8080},"wordpress":{"title":"A site","admin_user":"admin","admin_email":"admin@example.com"},"images":{"php":"hostplane/php:test","nginx":"hostplane/nginx:test"},"limits":{"php":{"memory_mib":512,"cpu_milli":1000,"pids":64,"log_mib":10},"nginx":{"memory_mib":192,"cpu_milli":500,"pids":16,"log_mib":10},"php_workers":5,"database_connections":20,"upload_mib":64},"php":{"memory_mib":256,"max_execution_seconds":60,"max_input_vars":3000,"opcache_mib":64,"disallow_file_edit":true},"mail":null,"shared_network":"hostplane","database_host":"host.docker.internal:3306","secret_version":1,"secret_generation":1,"admin_generation":1,"suspended":false}',1767225600034000,1767225600054553);
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
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',1,'forward','network','ensure','done',NULL,1767225600017326,1767225600020418);
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',2,'forward','files_volume','ensure','done',NULL,1767225600017909,1767225600021264);
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',3,'forward','php_volume','ensure','done',NULL,1767225600018538,1767225600021924);
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',4,'forward','nginx_volume','ensure','done',NULL,1767225600019153,1767225600022521);
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',5,'forward','database','ensure','done',NULL,1767225600019756,1767225600023714);
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',6,'forward','settings','ensure','done',NULL,1767225600023062,1767225600024400);
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',7,'forward','php_container','ensure','done',NULL,1767225600024974,1767225600026279);
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',8,'forward','nginx_container','ensure','done',NULL,1767225600025543,1767225600027660);
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',9,'forward','wordpress_files','ensure','done',NULL,1767225600026902,1767225600028955);
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',10,'forward','route','ensure','done',NULL,1767225600028303,1767225600030192);
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',11,'forward','wordpress_install','ensure','done',NULL,1767225600029548,1767225600030917);
INSERT INTO "steps" VALUES('01a229af-abb4-721e-b0f5-d9303336a348',12,'forward','serving','ensure','done',NULL,1767225600031564,1767225600032231);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',1,'forward','network','ensure','done',NULL,1767225600038165,1767225600041557);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',2,'forward','files_volume','ensure','done',NULL,1767225600038736,1767225600042243);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',3,'forward','php_volume','ensure','done',NULL,1767225600039353,1767225600042847);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',4,'forward','nginx_volume','ensure','done',NULL,1767225600040094,1767225600043485);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',5,'forward','database','ensure','done',NULL,1767225600040774,1767225600044763);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',6,'forward','settings','ensure','done',NULL,1767225600044092,1767225600045503);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',7,'forward','php_container','ensure','done',NULL,1767225600046124,1767225600047460);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',8,'forward','nginx_container','ensure','done',NULL,1767225600046728,1767225600048810);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',9,'forward','wordpress_files','ensure','done',NULL,1767225600048078,1767225600050007);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',10,'forward','route','ensure','done',NULL,1767225600049397,1767225600051415);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',11,'forward','wordpress_install','ensure','done',NULL,1767225600050547,1767225600052220);
INSERT INTO "steps" VALUES('01a229af-abcb-74b3-9144-381c5ce5a568',12,'forward','serving','ensure','done',NULL,1767225600052805,1767225600053416);
INSERT INTO "steps" VALUES('01a229af-abe1-71ea-ad94-92c6abc6df94',1,'forward','settings','ensure','done',NULL,1767225600058306,1767225600059265);
INSERT INTO "steps" VALUES('01a229af-abe1-71ea-ad94-92c6abc6df94',2,'forward','php_container','ensure','intended',NULL,1767225600060222,NULL);
CREATE TABLE subnets (
    subnet TEXT PRIMARY KEY NOT NULL,
    site_id TEXT UNIQUE REFERENCES sites (id),
    blocked_until BIGINT,
    CHECK ((site_id IS NULL) <> (blocked_until IS NULL))
);
INSERT INTO "subnets" VALUES('10.213.0.0/29','01a229af-abb4-721e-b0f5-d92f28d0b64f',NULL);
INSERT INTO "subnets" VALUES('10.213.0.8/29','01a229af-abcb-74b3-9144-381beb91ee6a',NULL);
CREATE TABLE tokens (
    id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 36),
    -- SHA-256 of the token, in hex: the token itself has 256 random bits, so no slow hash is needed.
    hash TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
    created_at BIGINT NOT NULL
, name TEXT NOT NULL DEFAULT 'home' CHECK (length(name) BETWEEN 1 AND 64), scope TEXT NOT NULL DEFAULT 'read' CHECK (scope IN ('read', 'operate', 'admin')), of_home BIGINT NOT NULL DEFAULT 0 CHECK (of_home IN (0, 1)), expires_at BIGINT CHECK (of_home = 0 OR (scope = 'admin' AND expires_at IS NULL)));
CREATE UNIQUE INDEX sites_name ON sites (name) WHERE status <> 'DESTROYED';
CREATE UNIQUE INDEX jobs_one_active_per_site ON jobs (site_id)
    WHERE state IN ('pending', 'running', 'needs_operator');
CREATE INDEX jobs_due ON jobs (run_at) WHERE state = 'pending';
CREATE INDEX jobs_site ON jobs (site_id, finished_at);
CREATE INDEX jobs_running ON jobs (id) WHERE state = 'running';
CREATE INDEX steps_intended ON steps (job_id) WHERE state = 'intended';
CREATE UNIQUE INDEX tokens_of_home ON tokens (of_home) WHERE of_home = 1;
CREATE INDEX jobs_repairs ON jobs (site_id, finished_at) WHERE operation = 'repair';

-- Tokens have a scope and may expire. Those there are so far are each the one in the home.
ALTER TABLE tokens ADD COLUMN name TEXT NOT NULL DEFAULT 'home' CHECK (length(name) BETWEEN 1 AND 64);
ALTER TABLE tokens ADD COLUMN scope TEXT NOT NULL DEFAULT 'read' CHECK (scope IN ('read', 'operate', 'admin'));
-- The one in the home: there is always one, it may do everything and it never expires.
ALTER TABLE tokens ADD COLUMN of_home BIGINT NOT NULL DEFAULT 0 CHECK (of_home IN (0, 1));
UPDATE tokens SET scope = 'admin', of_home = 1;
ALTER TABLE tokens ADD COLUMN expires_at BIGINT CHECK (of_home = 0 OR (scope = 'admin' AND expires_at IS NULL));
CREATE UNIQUE INDEX tokens_of_home ON tokens (of_home) WHERE of_home = 1;

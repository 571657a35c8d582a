-- How the site answered before a change. JSON.
ALTER TABLE jobs ADD COLUMN baseline TEXT;

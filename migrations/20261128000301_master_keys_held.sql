-- When a program last had a key: what it sealed since it was counted is not known.
ALTER TABLE app.master_keys ADD COLUMN held_at timestamptz;
ALTER TABLE app.master_keys NO FORCE ROW LEVEL SECURITY;
UPDATE app.master_keys SET held_at = now() WHERE check_value IS NOT NULL;
ALTER TABLE app.master_keys FORCE ROW LEVEL SECURITY;

-- Wraps of private journals that were replaced go after a fortnight: whoever changes a passphrase that others know is not to be
-- read with it by who gets hold of the database later.
ALTER TABLE app.retention_rules NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.retention_rules (record, profession, days, since, relations, ground) VALUES
    ('journal_wrap_before', 'any', 14, 'change', '{journal_keys}', 'To take back a change that was a mistake: RGPD, 32');
ALTER TABLE app.retention_rules FORCE ROW LEVEL SECURITY;
CREATE INDEX journal_keys_replaced ON app.journal_keys (replaced_at) WHERE replaced_at IS NOT NULL;

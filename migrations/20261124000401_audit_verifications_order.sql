-- Broken chains first, then by chain: the order in which they are listed.
CREATE INDEX audit_verifications_order ON app.audit_verifications ((findings = 0), chain);

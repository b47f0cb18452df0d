-- The contract's sessions: what counts is decided when it happens, by the company's rules of that moment.

-- whether it counts against the contract
ALTER TABLE app.consultations ADD COLUMN counts boolean NOT NULL DEFAULT true;

-- until now, what was cancelled did not; the owner of the table is under its row security, too
ALTER TABLE app.consultations NO FORCE ROW LEVEL SECURITY;
UPDATE app.consultations SET counts = false WHERE status = 'cancelled';
ALTER TABLE app.consultations FORCE ROW LEVEL SECURITY;

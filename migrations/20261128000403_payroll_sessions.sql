-- The sessions that a published month of payroll is the sum of, as they were then. Whose they were, besides the practitioner, is
-- not kept.
CREATE TABLE app.payroll_sessions (
    practitioner_id   uuid NOT NULL REFERENCES app.practitioners,
    month             date NOT NULL REFERENCES app.payroll_months,
    starts_at         timestamptz NOT NULL,
    consultation_id   uuid NOT NULL,
    ends_at           timestamptz NOT NULL,
    mode              text NOT NULL,
    specialty         text NOT NULL,
    status            text NOT NULL,
    duration_minutes  int,
    seen_minutes      int,
    times_differ      boolean NOT NULL,
    hourly_rate_cents int NOT NULL,
    currency          text NOT NULL,
    PRIMARY KEY (practitioner_id, starts_at, consultation_id)
);
CREATE INDEX payroll_sessions_flagged ON app.payroll_sessions (practitioner_id, starts_at) WHERE times_differ;
CREATE TRIGGER payroll_sessions_for_good BEFORE UPDATE OR DELETE ON app.payroll_sessions
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER payroll_sessions_no_truncate BEFORE TRUNCATE ON app.payroll_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
-- Of months that were published before, only the sums are.
ALTER TABLE app.payroll_months ADD COLUMN has_sessions boolean NOT NULL DEFAULT true;
ALTER TABLE app.payroll_months DISABLE TRIGGER payroll_months_for_good;
ALTER TABLE app.payroll_months NO FORCE ROW LEVEL SECURITY;
UPDATE app.payroll_months SET has_sessions = false;
ALTER TABLE app.payroll_months FORCE ROW LEVEL SECURITY;
ALTER TABLE app.payroll_months ENABLE TRIGGER payroll_months_for_good;

-- Every kind of personal data has a duration in the one table, and what removes it goes by that table.
ALTER TABLE app.retention_rules
    ADD COLUMN minutes int CONSTRAINT retention_rules_minutes CHECK (minutes BETWEEN 1 AND 1440),
    DROP CONSTRAINT retention_rules_duration,
    ADD CONSTRAINT retention_rules_duration CHECK (num_nonnulls(years, days, minutes) = 1) NOT VALID,
    DROP CONSTRAINT retention_rules_since,
    ADD CONSTRAINT retention_rules_since CHECK (
        since IN ('change', 'creation', 'end', 'reading', 'expiry', 'closing', 'erasure', 'use', 'year_end')) NOT VALID,
    -- longer than a request lives
    ADD CONSTRAINT retention_rules_uploads CHECK (record <> 'unfinished_upload' OR coalesce(minutes, 0) >= 20 OR coalesce(days, 0) >= 1) NOT VALID,
    -- who opened what can be found for a year in any case
    ADD CONSTRAINT retention_rules_audit CHECK (record <> 'audit_entry' OR coalesce(years, 0) >= 1 OR coalesce(days, 0) >= 365) NOT VALID;
ALTER TABLE app.retention_rules VALIDATE CONSTRAINT retention_rules_duration;
ALTER TABLE app.retention_rules VALIDATE CONSTRAINT retention_rules_since;
ALTER TABLE app.retention_rules VALIDATE CONSTRAINT retention_rules_uploads;
ALTER TABLE app.retention_rules VALIDATE CONSTRAINT retention_rules_audit;

ALTER TABLE app.retention_rules NO FORCE ROW LEVEL SECURITY;
UPDATE app.retention_rules SET relations = '{messages,message_receipts,unread_conversations,files}' WHERE record = 'message';
INSERT INTO app.retention_rules (record, profession, years, days, minutes, since, relations, ground) VALUES
    -- what ends with the account is kept no longer than the account
    ('unused_account', 'any', 3, NULL, NULL, 'use',
     '{users,account_uses,journal_entries,journal_keys,files,notification_preferences,two_factor,recovery_codes,news_reads,practitioners,practitioner_specialties,availability_rules,external_calendars,external_busy_times,calendar_feeds}',
     'Nobody comes any more: RGPD, 5(1)(e)'),
    ('former_employee', 'any', 5, NULL, NULL, 'end', '{employees}', 'Register of the staff: Code du travail, R. 1221-26'),
    ('consultation', 'any', 10, NULL, NULL, 'year_end', '{consultations,consultation_events,conversations}',
     'Accounting: Code de commerce, L. 123-22'),
    ('payroll', 'any', 10, NULL, NULL, 'year_end', '{payroll_lines,payroll_sessions,practitioner_rates}',
     'Accounting: Code de commerce, L. 123-22'),
    ('call', 'any', 1, NULL, NULL, 'end', '{call_sessions,call_parties}', 'To explain what was held: RGPD, 5(1)(e)'),
    ('call_signal', 'any', NULL, NULL, 2, 'creation', '{call_signals}', 'To connect the two: RGPD, 5(1)(e)'),
    ('review', 'any', 5, NULL, NULL, 'change', '{reviews,published_reviews}', 'To help others choose: RGPD, 5(1)(e)'),
    ('destroyed_key', 'any', 10, NULL, NULL, 'end', '{encryption_keys}', 'That a key was destroyed, without it: RGPD, 5(2)'),
    ('unsent_file', 'any', NULL, 1, NULL, 'creation', '{files}', 'To send it with a message: RGPD, 5(1)(e)'),
    ('unfinished_upload', 'any', NULL, NULL, 30, 'creation', '{files}', 'To receive it: RGPD, 5(1)(e)'),
    ('usage_export_file', 'any', NULL, 7, NULL, 'creation', '{}', 'To be fetched: RGPD, 5(1)(e)');
ALTER TABLE app.retention_rules FORCE ROW LEVEL SECURITY;

-- The day of the last use of each account: nobody's to read but its person's, in their copy.
CREATE TABLE app.account_uses (
    user_id uuid PRIMARY KEY CONSTRAINT account_uses_user_fkey REFERENCES app.users ON DELETE CASCADE,
    used_on date NOT NULL
);
CREATE INDEX account_uses_by_day ON app.account_uses (used_on);
-- before today nobody kept it
ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.account_uses NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.account_uses (user_id, used_on)
    SELECT u.id, (now() AT TIME ZONE 'UTC')::date FROM app.users u WHERE u.erased_at IS NULL;
ALTER TABLE app.account_uses FORCE ROW LEVEL SECURITY;
ALTER TABLE app.users FORCE ROW LEVEL SECURITY;

-- Who asked for an erasure: the person, or the platform, because nobody uses the account.
ALTER TABLE app.privacy_requests ADD COLUMN asked_by text NOT NULL DEFAULT 'person'
    CONSTRAINT privacy_requests_asked_by CHECK (asked_by IN ('person', 'platform')) CONSTRAINT privacy_requests_own_export CHECK (
        asked_by = 'person' OR kind = 'erasure');

-- An entry of the directory that was kept for long enough after its person left: nobody's.
ALTER TABLE app.employees ADD COLUMN forgotten_at timestamptz,
    ADD CONSTRAINT employees_forgotten CHECK (forgotten_at IS NULL OR status = 'left') NOT VALID;
ALTER TABLE app.employees VALIDATE CONSTRAINT employees_forgotten;

-- Append-only until its time is over, by the clock of the database: the functions of policies/retention.sql alone remove it.
CREATE FUNCTION app.refuse_removal_in_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'huntzen_kernel' AND (to_jsonb(OLD) ->> TG_ARGV[1])::timestamptz < clock_timestamp() - app.kept_for(TG_ARGV[0]) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END
$$;
REVOKE ALL ON FUNCTION app.refuse_removal_in_time() FROM PUBLIC;
DROP TRIGGER consultation_events_append_only ON app.consultation_events;
CREATE TRIGGER consultation_events_append_only BEFORE UPDATE ON app.consultation_events
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER consultation_events_kept BEFORE DELETE ON app.consultation_events
    FOR EACH ROW EXECUTE FUNCTION app.refuse_removal_in_time('consultation', 'at');
DROP TRIGGER payroll_lines_for_good ON app.payroll_lines;
CREATE TRIGGER payroll_lines_for_good BEFORE UPDATE ON app.payroll_lines FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER payroll_lines_kept BEFORE DELETE ON app.payroll_lines
    FOR EACH ROW EXECUTE FUNCTION app.refuse_removal_in_time('payroll', 'month');
DROP TRIGGER payroll_sessions_for_good ON app.payroll_sessions;
CREATE TRIGGER payroll_sessions_for_good BEFORE UPDATE ON app.payroll_sessions FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER payroll_sessions_kept BEFORE DELETE ON app.payroll_sessions
    FOR EACH ROW EXECUTE FUNCTION app.refuse_removal_in_time('payroll', 'month');
DROP TRIGGER practitioner_rates_for_good ON app.practitioner_rates;
CREATE TRIGGER practitioner_rates_for_good BEFORE UPDATE ON app.practitioner_rates
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE TRIGGER practitioner_rates_kept BEFORE DELETE ON app.practitioner_rates
    FOR EACH ROW EXECUTE FUNCTION app.refuse_removal_in_time('payroll', 'since');
DROP TRIGGER encryption_keys_remembered ON app.encryption_keys;
CREATE TRIGGER encryption_keys_remembered BEFORE DELETE ON app.encryption_keys
    FOR EACH ROW EXECUTE FUNCTION app.refuse_removal_in_time('destroyed_key', 'destroyed_at');

-- What is over its time is found by these.
CREATE INDEX consultations_over ON app.consultations (ends_at) WHERE status IN ('completed', 'cancelled', 'no_show');
CREATE INDEX call_sessions_over ON app.call_sessions (ended_at) WHERE status = 'ended';
CREATE INDEX reviews_written ON app.reviews (written_at);
CREATE INDEX employees_left ON app.employees (left_at) WHERE status = 'left' AND forgotten_at IS NULL;
CREATE INDEX encryption_keys_gone ON app.encryption_keys (destroyed_at) WHERE destroyed_at IS NOT NULL;
CREATE INDEX payroll_sessions_month ON app.payroll_sessions (month);

-- it was told the days by a setting
DROP FUNCTION IF EXISTS app.cut_audit_log(int, int);
-- it tells minutes as well
DROP FUNCTION IF EXISTS auth.durations();
-- it tells who asked
DROP FUNCTION IF EXISTS app.reader_of_receipt(uuid);

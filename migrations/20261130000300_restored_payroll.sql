-- When the database was brought back from a backup last, and which months of payroll were over by then and not in it: they may
-- have been published, and paid, before.
ALTER TABLE app.usage_refreshes ADD COLUMN restored_at timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE app.payroll_months ADD COLUMN is_restored boolean NOT NULL DEFAULT false;
DROP FUNCTION IF EXISTS stats.withhold_restored(timestamptz);
DROP FUNCTION IF EXISTS stats.months_to_publish(timestamptz);

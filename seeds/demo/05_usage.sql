-- Counted at once: the schedule would do it at five past the hour, and HR would see nothing until then.
SELECT stats.refresh(current_setting('seed.now')::timestamptz);

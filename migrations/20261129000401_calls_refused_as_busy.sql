-- Whoever is rung while they talk to somebody else is told afterwards, as of any call that they missed: the ring leaves a call
-- that was over at once.
ALTER TABLE app.call_sessions DROP CONSTRAINT call_sessions_reason,
    ADD CONSTRAINT call_sessions_reason CHECK (
        end_reason IN ('declined', 'missed', 'cancelled', 'busy') AND accepted_at IS NULL
        OR end_reason IN ('hung_up', 'lost', 'abandoned') AND accepted_at IS NOT NULL
        OR end_reason = 'closed') NOT VALID;
ALTER TABLE app.call_sessions VALIDATE CONSTRAINT call_sessions_reason;
DROP INDEX app.call_sessions_missed;
CREATE INDEX call_sessions_missed ON app.call_sessions (ended_at)
    WHERE end_reason IN ('missed', 'cancelled', 'busy') AND missed_told_at IS NULL;

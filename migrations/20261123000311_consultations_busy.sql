-- When many practitioners are taken: read from this index alone. How long a time can be taken is bounded, so that a
-- range of beginnings finds every overlap.
CREATE INDEX consultations_busy ON app.consultations (practitioner_id, busy_from) INCLUDE (busy_until, id)
    WHERE status IN ('pending', 'confirmed', 'in_progress');
-- eight hours, and two of buffer at either end; what is there already is looked at by the next migration
ALTER TABLE app.consultations ADD CONSTRAINT consultations_busy_length
    CHECK (busy_until - busy_from <= interval '12 hours') NOT VALID;

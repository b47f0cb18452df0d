-- Practitioners whose account is suspended: few, and asked for by every statement that looks for bookable ones.
CREATE INDEX users_suspended_practitioners ON app.users (id) WHERE role = 'practitioner' AND status = 'suspended';
-- asked for one practitioner; the one in the policies asks for many at once
DROP FUNCTION IF EXISTS app.busy_times(uuid, timestamptz, timestamptz);

-- What the audit log would hold of all this: how the companies came to be, and two months of sessions. The entries are
-- chained when the transaction is committed, as all others.
WITH staff AS (
    SELECT u.id FROM app.users u WHERE u.email = 'admin@huntzen.test'
), hr AS (
    SELECT u.id, u.company_id FROM app.users u WHERE u.role = 'hr'
), entries (key, at, actor_id, actor_role, company_id, action, object_type, object_id, subject_type, subject_id, details) AS (
    SELECT format('company %s', c.id), c.created_at, staff.id, 'platform_admin', c.id, 'company.created', 'company', c.id, NULL,
           NULL::uuid, '{}'::jsonb
    FROM app.companies c, staff
    UNION ALL
    SELECT format('member %s', u.id), u.created_at, staff.id, 'platform_admin', u.company_id, 'member.invited', 'member', u.id,
           'user', u.id, '{}'
    FROM app.users u, staff WHERE u.role IN ('hr', 'company_admin')
    UNION ALL
    SELECT format('practitioner %s', p.id), p.created_at, staff.id, 'platform_admin', NULL, 'practitioner.created',
           'practitioner', p.id, 'user', p.id, '{}'
    FROM app.practitioners p, staff
    UNION ALL
    SELECT format('import %s', hr.company_id), max(e.created_at), hr.id, 'hr', hr.company_id, 'employee.imported', 'employee',
           NULL, NULL, NULL, jsonb_build_object('created', count(*), 'updated', 0, 'unchanged', 0, 'rejected', 0, 'partial', false)
    FROM hr JOIN app.employees e ON e.company_id = hr.company_id GROUP BY hr.id, hr.company_id
    UNION ALL
    -- so that somebody finds something in their access log
    SELECT format('support %s', e.id), pg_temp.today() - interval '9 days' + interval '10 hours', staff.id, 'platform_admin',
           e.company_id, 'employee.read', 'employee', e.id, 'employee', e.id, '{}'
    FROM app.employees e, staff WHERE e.email IN ('alice@acme.test', 'carol@globex.test')
    UNION ALL
    SELECT format('change %s', e.id), pg_temp.today() - interval '8 days' + interval '15 hours', hr.id, 'hr', e.company_id,
           'employee.updated', 'employee', e.id, 'employee', e.id, '{}'
    FROM app.employees e JOIN hr USING (company_id) WHERE e.email IN ('alice@acme.test', 'carol@globex.test')
    UNION ALL
    SELECT format('event %s', v.id), v.at, CASE v.actor_role WHEN 'employee' THEN c.user_id ELSE c.practitioner_id END,
           v.actor_role, c.company_id, 'consultation.' || lower(v.kind), 'consultation', c.id, NULL, NULL, '{}'
    FROM app.consultation_events v JOIN app.consultations c ON c.id = v.consultation_id
    WHERE v.kind IN ('BOOKED', 'CANCELLED', 'STARTED', 'ENDED') AND v.actor_role IN ('employee', 'practitioner')
      AND v.at > pg_temp.today() - interval '60 days'
)
INSERT INTO app.audit_logs (id, at, actor_id, actor_role, company_id, action, object_type, object_id, subject_type, subject_id,
                            outcome, details)
SELECT pg_temp.id('audit ' || key), at, actor_id, actor_role, company_id, action, object_type, object_id, subject_type, subject_id,
       'success', details
FROM entries ORDER BY at, key;

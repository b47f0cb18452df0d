BEGIN READ ONLY;
SELECT set_config('app.user_id', '01941f29-7c03-7000-8000-' || lpad(:account::text, 12, '0'), true), set_config('app.company_id', '01941f29-7c01-7000-8000-' || lpad(:company::text, 12, '0'), true);
SELECT c.id, c.status, c.practitioner_id, p.display_name, c.mode, c.starts_at, c.ends_at FROM app.consultations c JOIN app.practitioners p ON p.id = c.practitioner_id ORDER BY c.starts_at DESC, c.id DESC LIMIT 21;
COMMIT;

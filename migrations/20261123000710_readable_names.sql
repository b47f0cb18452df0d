-- Names of accounts are one line that can be read: mails to their person, and what others see of them, carry the name.
-- `identity::model::clean_name` is the same rule.
ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY;
UPDATE app.users u
SET display_name = coalesce(nullif(btrim(left(btrim(regexp_replace(regexp_replace(u.display_name,
        '[\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+', ' ', 'g'),
        '[\u0001-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffd\U000e0000-\U000e007f]',
        '', 'g')), 200)), ''), split_part(u.email, '@', 1))
WHERE u.display_name <> btrim(u.display_name) OR u.display_name = '' OR u.display_name ~
    '[\u0001-\u001f\u007f-\u00a0\u00ad\u061c\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff\ufff9-\ufffd\U000e0000-\U000e007f]';
ALTER TABLE app.users FORCE ROW LEVEL SECURITY;
ALTER TABLE app.users ADD CONSTRAINT users_display_name_readable CHECK (
    display_name = btrim(display_name) AND display_name <> '' AND display_name !~
    '[\u0001-\u001f\u007f-\u00a0\u00ad\u061c\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff\ufff9-\ufffd\U000e0000-\U000e007f]');

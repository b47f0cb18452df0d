-- What the other files are written with. The program sets seed.now and seed.password_hash first.
CREATE FUNCTION pg_temp.today() RETURNS date LANGUAGE sql STABLE
    AS $$ SELECT (current_setting('seed.now')::timestamptz AT TIME ZONE 'UTC')::date $$;

-- Nothing is random: the same key gives the same number below n, and the same identifier.
CREATE FUNCTION pg_temp.pick(key text, n int) RETURNS int LANGUAGE sql IMMUTABLE
    AS $$ SELECT (('x' || substr(md5(key), 1, 8))::bit(32)::bigint % n)::int $$;

-- A UUID version 7 (RFC 9562) of the first instant of 2025, its random bits taken from the key.
CREATE FUNCTION pg_temp.id(key text) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT ('01941f297c00' || '7' || substr(md5(key), 1, 3) || '8' || substr(md5(key), 4, 15))::uuid $$;

CREATE FUNCTION pg_temp.account(email text) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT pg_temp.id('account ' || email) $$;

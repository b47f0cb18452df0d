-- What a moderator decided about a review is told its author: nobody else learns who that is, the moderator least of all.
-- Tells the author, as long as it is the last word; whether they want a mail. The review's version tells one verdict from
-- another.
CREATE OR REPLACE FUNCTION app.notify_of_review(new_id uuid, review uuid, verdict int, at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = app, pg_temp AS $$
DECLARE
    it record;
BEGIN
    SELECT r.user_id, r.consultation_id, 'review_' || r.status AS kind INTO it FROM app.reviews r
        WHERE r.id = review AND r.version = verdict AND r.status <> 'pending';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM app.add_notification(new_id, it.user_id, it.kind, 'consultation', it.consultation_id, verdict, at);
    RETURN app.wants_notice(it.user_id, it.kind, 'email');
END
$$;

-- To whom a mail about it goes, as things are now: not where the author wrote something else since, or does not want it.
CREATE OR REPLACE FUNCTION app.reader_of_verdict(review uuid, verdict int)
RETURNS TABLE (id uuid, email text, display_name text, locale text, consultation_id uuid, is_published boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = app, pg_temp AS $$
    SELECT u.id, u.email, u.display_name, u.locale, r.consultation_id, r.status = 'published'
    FROM app.reviews r JOIN app.users u ON u.id = r.user_id
    WHERE r.id = review AND r.version = verdict AND r.status <> 'pending' AND app.may_be_mailed(u.id)
      AND app.wants_notice(u.id, 'review_' || r.status, 'email')
$$;

DO $$
DECLARE
    it regprocedure;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'app.notify_of_review(uuid, uuid, int, timestamptz)', 'app.reader_of_verdict(uuid, int)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO huntzen_kernel', it);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', it);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION app.notify_of_review(uuid, uuid, int, timestamptz), app.reader_of_verdict(uuid, int) TO huntzen_worker;

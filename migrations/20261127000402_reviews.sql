-- What employees say of sessions that were held. Who wrote it stays here; what readers see is a copy that knows no author.
CREATE TABLE app.reviews (
    -- random: an id of version 7 would tell when it was written, and so whose session it is about
    id              uuid PRIMARY KEY,
    company_id      uuid NOT NULL,
    consultation_id uuid NOT NULL,
    user_id         uuid NOT NULL,
    practitioner_id uuid NOT NULL REFERENCES app.practitioners,
    status          text NOT NULL DEFAULT 'pending'
        CONSTRAINT reviews_status CHECK (status IN ('pending', 'published', 'rejected')),
    -- grows with each change, of the words or of the status
    version         int NOT NULL DEFAULT 1 CONSTRAINT reviews_versions CHECK (version >= 1),
    rating          smallint NOT NULL CONSTRAINT reviews_rating CHECK (rating BETWEEN 1 AND 5),
    -- the words, and which of them may be names
    sealed          bytea NOT NULL CONSTRAINT reviews_size CHECK (length(sealed) <= 40000),
    rejected_for    text CONSTRAINT reviews_rejected_for
        CHECK (rejected_for IN ('names_somebody', 'health_details', 'offensive', 'off_topic', 'other')),
    written_at      timestamptz NOT NULL,
    moderated_at    timestamptz,
    CONSTRAINT reviews_consultation_fkey FOREIGN KEY (company_id, consultation_id)
        REFERENCES app.consultations (company_id, id),
    CONSTRAINT reviews_user_fkey FOREIGN KEY (company_id, user_id) REFERENCES app.users (company_id, id),
    CONSTRAINT reviews_once UNIQUE (company_id, consultation_id),
    CONSTRAINT reviews_moderated CHECK ((status = 'pending') = (moderated_at IS NULL)),
    CONSTRAINT reviews_reason CHECK ((status = 'rejected') = (rejected_for IS NOT NULL))
);
CREATE INDEX reviews_queue ON app.reviews (status, written_at, id);
CREATE INDEX reviews_user ON app.reviews (user_id, company_id);
CREATE INDEX reviews_practitioner ON app.reviews (practitioner_id);
CREATE TRIGGER reviews_fixed BEFORE UPDATE OF id, company_id, consultation_id, user_id, practitioner_id ON app.reviews
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();

-- What was published: words and stars, neither who wrote them nor when, nor about which session.
CREATE TABLE app.published_reviews (
    id              uuid PRIMARY KEY REFERENCES app.reviews ON DELETE CASCADE,
    practitioner_id uuid NOT NULL REFERENCES app.practitioners,
    rating          smallint NOT NULL CONSTRAINT published_reviews_rating CHECK (rating BETWEEN 1 AND 5),
    body            text NOT NULL CONSTRAINT published_reviews_body CHECK (length(body) BETWEEN 1 AND 2000)
);
CREATE INDEX published_reviews_of ON app.published_reviews (practitioner_id, id);

-- The average of what is published, in tenths, and of how many: from three on.
ALTER TABLE app.practitioners
    ADD COLUMN rating_tenths smallint,
    ADD COLUMN review_count  int,
    ADD CONSTRAINT practitioners_rating CHECK (
        (rating_tenths IS NULL) = (review_count IS NULL)
        AND (rating_tenths IS NULL OR rating_tenths BETWEEN 10 AND 50 AND review_count >= 3)) NOT VALID;
ALTER TABLE app.practitioners VALIDATE CONSTRAINT practitioners_rating;
-- a review gives the profile, and the terms of who books at the moment, no new version
DROP TRIGGER practitioners_touch ON app.practitioners;
CREATE TRIGGER practitioners_touch BEFORE UPDATE OF
    display_name, bio_fr, bio_en, languages, modes, rpps, adeli, time_zone, session_lengths, buffer_before_minutes,
    buffer_after_minutes, min_notice_minutes, horizon_days, hourly_rate_cents, currency, status, confirms_by_hand, verified_at,
    verified_by, verified_checks, avatar_id
    ON app.practitioners FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

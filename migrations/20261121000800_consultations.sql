-- The platform's list of all consultations, page by page.
CREATE INDEX consultations_newest ON app.consultations (starts_at DESC, id DESC);

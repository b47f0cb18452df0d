-- The weekly hours of practitioners are read by who they are, for one and for a whole network. The exclusion constraint's
-- index finds them, too, but a list of practitioners is looked up in it one by one, for every other list in the query.
CREATE INDEX availability_rules_practitioner ON app.availability_rules (practitioner_id, weekday, starts_minute);

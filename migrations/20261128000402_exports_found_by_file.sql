-- Files that nobody knows of are looked for by their keys, and those that somebody waits for by who asked.
CREATE INDEX exports_file_key ON app.exports (file_key) WHERE file_key IS NOT NULL;
CREATE INDEX exports_unfinished ON app.exports (requested_by) WHERE status IN ('pending', 'running');

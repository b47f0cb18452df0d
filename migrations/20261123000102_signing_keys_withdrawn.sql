-- Keys that sign and verify nothing any more, by their `kid`: also those of JWT_KEYS, which every node has configured.
CREATE TABLE app.withdrawn_signing_keys (
    kid          text PRIMARY KEY CHECK (length(kid) BETWEEN 1 AND 200),
    withdrawn_at timestamptz NOT NULL
);

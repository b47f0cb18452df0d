-- What opens the private entries of a person: their own key, wrapped in their browser under a passphrase and under a
-- recovery code. The program seals the wraps once more, so that nobody tries passphrases on a dump.
CREATE TABLE app.journal_keys (
    company_id       uuid NOT NULL,
    user_id          uuid NOT NULL,
    -- made by the browser; private entries name it
    key_id           uuid NOT NULL,
    version          int NOT NULL DEFAULT 1 CONSTRAINT journal_keys_versions CHECK (version >= 1),
    by_passphrase    bytea NOT NULL CONSTRAINT journal_keys_passphrase_size CHECK (length(by_passphrase) BETWEEN 106 AND 1000),
    by_recovery_code bytea NOT NULL CONSTRAINT journal_keys_recovery_size CHECK (length(by_recovery_code) BETWEEN 106 AND 1000),
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (company_id, user_id),
    CONSTRAINT journal_keys_named UNIQUE (company_id, user_id, key_id),
    CONSTRAINT journal_keys_user_fkey FOREIGN KEY (company_id, user_id) REFERENCES app.users (company_id, id)
);
CREATE TRIGGER journal_keys_fixed BEFORE UPDATE OF company_id, user_id, created_at ON app.journal_keys
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();

-- The journal: its words, moods and tags sealed, the day in the clear.
CREATE TABLE app.journal_entries (
    id             uuid PRIMARY KEY,
    company_id     uuid NOT NULL,
    user_id        uuid NOT NULL,
    day            date NOT NULL CONSTRAINT journal_entries_day CHECK (day BETWEEN '1900-01-01' AND '2200-01-01'),
    -- grows with each change
    version        int NOT NULL DEFAULT 1 CONSTRAINT journal_entries_versions CHECK (version >= 1),
    sealed         bytea NOT NULL CONSTRAINT journal_entries_size CHECK (length(sealed) BETWEEN 106 AND 200000),
    -- mood and tags, which trend and search read without the words
    facts          bytea CONSTRAINT journal_entries_facts_size CHECK (length(facts) BETWEEN 106 AND 4000),
    -- of a private entry: the key that it was sealed under in the browser
    private_key_id uuid,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT journal_entries_private CHECK ((private_key_id IS NULL) = (facts IS NOT NULL)),
    CONSTRAINT journal_entries_user_fkey FOREIGN KEY (company_id, user_id) REFERENCES app.users (company_id, id),
    -- a key that entries name is not exchanged for another one: only wrapped anew
    CONSTRAINT journal_entries_key_fkey FOREIGN KEY (company_id, user_id, private_key_id)
        REFERENCES app.journal_keys (company_id, user_id, key_id)
);
CREATE INDEX journal_entries_of ON app.journal_entries (user_id, company_id, day DESC, id DESC);
CREATE INDEX journal_entries_private ON app.journal_entries (company_id, user_id, private_key_id)
    WHERE private_key_id IS NOT NULL;
CREATE TRIGGER journal_entries_fixed BEFORE UPDATE OF id, company_id, user_id, created_at ON app.journal_entries
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();

-- By which reporting threshold each month is judged: the one that was in force when it closed. Were a month judged anew
-- by each threshold that a company tries, the answers would tell how many people are in a cell that is withheld.
CREATE TABLE app.reporting_thresholds (
    company_id  uuid NOT NULL REFERENCES app.companies ON DELETE CASCADE,
    -- from this month on, until the next row's
    first_month date NOT NULL CHECK (extract(day FROM first_month) = 1),
    threshold   int NOT NULL CHECK (threshold BETWEEN 10 AND 1000),
    PRIMARY KEY (company_id, first_month)
);
-- what was told so far was judged by what is in force now
ALTER TABLE app.company_settings NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.reporting_thresholds NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.reporting_thresholds (company_id, first_month, threshold)
    SELECT company_id, '2000-01-01', reporting_threshold FROM app.company_settings;
ALTER TABLE app.reporting_thresholds FORCE ROW LEVEL SECURITY;
ALTER TABLE app.company_settings FORCE ROW LEVEL SECURITY;

-- answers with the threshold of each month from now on
DROP FUNCTION IF EXISTS stats.company_usage(date, date, text);

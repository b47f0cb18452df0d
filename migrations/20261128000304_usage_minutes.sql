-- Minutes are not told of every number that is.
ALTER TABLE app.usage_cells
    DROP CONSTRAINT usage_cells_told,
    ADD CONSTRAINT usage_cells_told CHECK (
        CASE WHEN withheld IS NULL THEN num_nulls(sessions, people) = 0 ELSE num_nonnulls(sessions, minutes, people) = 0 END)
        NOT VALID;
ALTER TABLE app.usage_cells VALIDATE CONSTRAINT usage_cells_told;

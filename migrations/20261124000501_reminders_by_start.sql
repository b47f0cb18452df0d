-- Answers with the start that a reminder is about: the one in the policies.
DROP FUNCTION IF EXISTS app.take_due_reminders(timestamptz, int);

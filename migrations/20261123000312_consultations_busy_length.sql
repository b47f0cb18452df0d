ALTER TABLE app.consultations VALIDATE CONSTRAINT consultations_busy_length;

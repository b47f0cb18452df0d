-- What became of a review is told its author, beside the kinds of 20261127000701.
ALTER TABLE app.notifications DROP CONSTRAINT notifications_kind,
    ADD CONSTRAINT notifications_kind CHECK (object_type = CASE
        WHEN kind IN ('consultation_requested', 'consultation_booked', 'consultation_confirmed', 'consultation_rescheduled',
                      'consultation_cancelled', 'consultation_expired', 'consultation_missed', 'reminder_day',
                      'reminder_hour', 'call_missed', 'review_published', 'review_rejected') THEN 'consultation'
        WHEN kind = 'waitlist_offered' THEN 'waitlist_offer'
        WHEN kind = 'message_received' THEN 'conversation'
        WHEN kind IN ('export_ready', 'export_failed') THEN 'export'
        WHEN kind IN ('privacy_export_ready', 'privacy_export_failed') THEN 'privacy_export'
        WHEN kind = 'calendar_failing' THEN 'calendar'
        WHEN kind IN ('password_changed', 'email_changed', 'two_factor_changed', 'session_ended', 'erasure_asked',
                      'erasure_withdrawn', 'erasure_refused') THEN 'account'
        ELSE '' END) NOT VALID;
ALTER TABLE app.notifications VALIDATE CONSTRAINT notifications_kind;
ALTER TABLE app.notification_preferences DROP CONSTRAINT notification_preferences_kind,
    ADD CONSTRAINT notification_preferences_kind CHECK (kind IN
        ('consultation_requested', 'consultation_booked', 'consultation_confirmed', 'consultation_rescheduled',
         'consultation_cancelled', 'consultation_expired', 'consultation_missed', 'reminder_day', 'reminder_hour',
         'call_missed', 'waitlist_offered', 'message_received', 'review_published', 'review_rejected', 'export_ready',
         'export_failed', 'privacy_export_ready', 'privacy_export_failed', 'calendar_failing', 'password_changed',
         'email_changed', 'two_factor_changed', 'session_ended')) NOT VALID;
ALTER TABLE app.notification_preferences VALIDATE CONSTRAINT notification_preferences_kind;

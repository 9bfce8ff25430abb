"""Messages out: an outbox in the database, delivered by SMTP, or as files where no mail server is set."""

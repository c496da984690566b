-- What of a request was not known when it came in: by that its route is chosen.
ALTER TABLE request_analytics ADD COLUMN missing_size INTEGER NOT NULL DEFAULT 0;

-- What `PgEventStore::new_uninitialized` asks to be there (the crate's src/event_store/sql/, MIT). The same but for one
-- number, which the crate writes as 0xFFFFFFFF: PostgreSQL reads that from version 16 on alone.
CREATE SEQUENCE seq_event_event_id;

CREATE TABLE event (
    event_id bigint PRIMARY KEY DEFAULT nextval('seq_event_event_id'),
    event_type varchar(255),
    payload bytea,
    inserted_at timestamp DEFAULT now(),
    task_id text
);
CREATE INDEX idx_event_type_btree ON event (event_type);
CREATE INDEX idx_event_task_id ON event (task_id) WHERE task_id IS NOT NULL;

-- Tells readers, by its locks, from which event on a transaction may still commit some.
CREATE FUNCTION event_store_begin_epoch() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    id bigint;
    db_id int;
BEGIN
    SELECT last_value INTO id FROM seq_event_event_id;
    SELECT oid INTO db_id FROM pg_database WHERE datname = current_database();
    PERFORM pg_try_advisory_xact_lock_shared(db_id, 0);
    PERFORM pg_try_advisory_xact_lock_shared(1, (id & 4294967295)::bit(32)::integer);
    PERFORM pg_try_advisory_xact_lock_shared(2, (id >> 32)::bit(32)::integer);
END;
$$;

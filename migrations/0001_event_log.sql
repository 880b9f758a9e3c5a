-- The event log: one insert-only table, and the caches and cursors beside it. No head row, no counter, no sequence:
-- the primary key of the next position is the compare-and-append (see ledger.append).

create schema if not exists ledger;

-- Which ledger this is: its id is part of every record's source. One row, made once.
create table ledger.identity (
    only_row boolean primary key default true check (only_row),
    ledger_id uuid not null default gen_random_uuid(),
    created_at timestamptz(3) not null default clock_timestamp()
);
insert into ledger.identity default values;

-- Columns other than body are copies out of the record, for look-up.
create table ledger.event (
    position bigint not null,
    event_id uuid not null,
    vtid text collate "C" not null,
    version bigint not null,
    type text not null,
    tenant text not null,
    actor text not null,
    actor_role text not null,
    actor_tenant text,
    idempotency_key text collate "C",
    request_hash text collate "C",
    recorded_at timestamptz(3) not null,
    body text not null,
    constraint event_position primary key (position),
    constraint event_version unique (vtid, version),
    constraint event_position_counts_from_one check (position >= 1),
    constraint event_version_counts_from_one check (version >= 1),
    constraint event_key_has_hash check ((idempotency_key is null) = (request_hash is null)),
    constraint event_body_size check (octet_length(body) between 2 and 65535)
);
create unique index event_idempotency_key on ledger.event (actor, idempotency_key) where idempotency_key is not null;
-- The last task that was created gives the last number; most ledgers patch more than they create.
create index event_created on ledger.event (position) where version = 1;

-- Immutable, for the owner too, and in replication mode.
create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'ledger.event is immutable: % refused', tg_op using errcode = 'insufficient_privilege';
end $$;
create trigger event_is_immutable before update or delete or truncate on ledger.event
    for each statement execute function ledger.refuse_change();
alter table ledger.event enable always trigger event_is_immutable;

-- Each later version follows the one before it, under the same tenant. VOLATILE, so that it sees the rows that its
-- own statement has inserted so far.
create function ledger.check_predecessor() returns trigger language plpgsql volatile as $$
begin
    perform from ledger.event e
        where e.vtid = new.vtid and e.version = new.version - 1 and e.tenant = new.tenant and e.position < new.position;
    if not found then
        raise exception 'version % of % does not follow version % of the same tenant', new.version, new.vtid, new.version - 1
            using errcode = 'integrity_constraint_violation', constraint = 'event_follows_predecessor';
    end if;
    return new;
end $$;
create trigger event_follows_predecessor before insert on ledger.event
    for each row when (new.version > 1) execute function ledger.check_predecessor();
alter table ledger.event enable always trigger event_follows_predecessor;

-- Stops the appends of all replicas at once. Set and removed under the exclusive append lock.
create table ledger.hold (
    only_row boolean primary key default true check (only_row),
    reason text not null,
    position bigint not null,
    set_at timestamptz(3) not null default clock_timestamp()
);

-- The keys of the transaction-level advisory locks.
create function ledger.append_lock() returns bigint language sql immutable parallel safe as 'select 6221254864708288513';
create function ledger.projection_lock(name text) returns bigint language sql immutable parallel safe
    as 'select hashtextextended(name, 6221254864708288514)';

-- Compare-and-append, in one round trip: inserts the events at head + 1, head + 2, … if the row at head is the one that
-- the writer remembers. Says what happened: appended, or what stands against it: head, hold, time. Two writers that
-- append at the same head meet in the primary key: one of them gets unique_violation.
create function ledger.append(
    head bigint, head_id uuid, max_ahead_ms bigint,
    event_ids uuid[], vtids text[], versions bigint[], types text[], tenants text[],
    actors text[], actor_roles text[], actor_tenants text[], idempotency_keys text[], request_hashes text[],
    times timestamptz[], bodies text[]
) returns text language plpgsql volatile as $$
declare
    last_time timestamptz;
begin
    -- First of all: a snapshot taken before the wait would be older than the wait.
    perform pg_advisory_xact_lock_shared(ledger.append_lock());
    perform from ledger.hold;
    if found then
        return 'hold';
    end if;
    if head > 0 then
        select e.recorded_at into last_time from ledger.event e where e.position = head and e.event_id = head_id;
        if not found then
            return 'head';
        end if;
    end if;
    if times[1] < last_time
        or times[cardinality(times)] > greatest(last_time, clock_timestamp() + max_ahead_ms * interval '1 millisecond')
    then
        return 'time';
    end if;
    insert into ledger.event (
        position, event_id, vtid, version, type, tenant, actor, actor_role, actor_tenant, idempotency_key, request_hash,
        recorded_at, body
    )
    select head + n, event_id, vtid, version, type, tenant, actor, actor_role, actor_tenant, idempotency_key, request_hash,
        recorded_at, body
    from unnest(
        event_ids, vtids, versions, types, tenants, actors, actor_roles, actor_tenants, idempotency_keys, request_hashes,
        times, bodies
    ) with ordinality as new (
        event_id, vtid, version, type, tenant, actor, actor_role, actor_tenant, idempotency_key, request_hash,
        recorded_at, body, n
    )
    order by n;
    perform pg_notify('ledger_event', (head + cardinality(event_ids))::text);
    return 'appended';
end $$;

-- A task's state at every 64th version: a cache for cold loads, written by the projector, never used by checks.
create table ledger.snapshot (
    vtid text collate "C" not null,
    version bigint not null,
    position bigint not null,
    state text not null,
    primary key (vtid, version)
);

-- Cursors of followers, insert-only: a row that every batch updates would drag its dead versions behind it.
create table ledger.progress (
    name text collate "C" not null,
    position bigint not null,
    event_id uuid not null,
    previous bigint not null,
    primary key (name, position),
    constraint progress_previous unique (name, previous),
    check (position > previous)
);

-- Moves a cursor from previous to position, if previous is where it stands and the log holds that event at position.
-- Says what happened: moved, or what stands against it: cursor, log. Two that move from the same place meet in
-- progress_previous.
create function ledger.move_cursor(cursor_name text, previous_position bigint, new_position bigint, new_event_id uuid)
returns text language plpgsql volatile as $$
declare
    newest bigint;
begin
    perform pg_advisory_xact_lock_shared(ledger.projection_lock(cursor_name));
    select p.position into newest from ledger.progress p where p.name = cursor_name order by p.position desc limit 1;
    if coalesce(newest, 0) <> previous_position then
        return 'cursor';
    end if;
    perform from ledger.event e where e.position = new_position and e.event_id = new_event_id;
    if not found then
        return 'log';
    end if;
    insert into ledger.progress (name, position, event_id, previous)
        values (cursor_name, new_position, new_event_id, previous_position);
    return 'moved';
end $$;

-- Removes a cursor's old rows, but for some of the newest, a bounded number at a time. Only while nobody else is moving
-- the cursor: one who has looked for the newest row and not yet inserted the next relies on the rows after it. Looks
-- only so far back: beside an open snapshot nothing that was deleted can be cleaned up, and each look would wade through
-- all of it again.
create function ledger.prune_progress(cursor_name text, newest bigint) returns void language plpgsql volatile as $$
begin
    if pg_try_advisory_xact_lock(ledger.projection_lock(cursor_name)) then
        delete from ledger.progress p where p.name = cursor_name and p.position in (
            select old.position from ledger.progress old
                where old.name = cursor_name and old.position >= newest - 65536 and old.position < newest - 64
                order by old.position limit 4096
        );
    end if;
end $$;

-- Each read model: the revision whose SQL is applied, the revision of the code that last built it whole, and how far a
-- rebuild has come (null: none runs; empty: at its start).
create table ledger.projection (
    name text collate "C" primary key,
    schema_revision integer not null,
    revision integer not null,
    mending_revision integer,
    mended_to text collate "C",
    check ((mending_revision is null) = (mended_to is null))
);

-- Which replica does a job that one of them is enough for: saves work, is never needed for correctness.
create table ledger.lease (
    name text collate "C" primary key,
    holder uuid not null,
    expires_at timestamptz(3) not null
);

-- What was given up: one row for each loss of history that an operator accepted (vtid-ledger oasis rebuild --accept-loss).
-- Whoever remembers an event that the log no longer has learns from the number whether that was given up since.
create table ledger.accepted_loss (
    number bigint primary key check (number >= 1),
    -- The first position that was lost: the ledger goes on from the one before it, and gives this one out again.
    first_position bigint not null check (first_position >= 1),
    -- The last position that anybody was known to have seen.
    last_position bigint not null,
    accepted_by text not null default session_user,
    accepted_at timestamptz(3) not null default clock_timestamp(),
    check (last_position >= first_position)
);

-- Stays on record, like the events.
create function ledger.refuse_change_of_loss() returns trigger language plpgsql as $$
begin
    raise exception 'ledger.accepted_loss is immutable: % refused', tg_op using errcode = 'insufficient_privilege';
end $$;
create trigger accepted_loss_is_immutable before update or delete or truncate on ledger.accepted_loss
    for each statement execute function ledger.refuse_change_of_loss();
alter table ledger.accepted_loss enable always trigger accepted_loss_is_immutable;

-- A hold tells from where to where events were seen that the log no longer has, as far as is known: what is put back may
-- end before that.
alter table ledger.hold add column last_position bigint;
update ledger.hold set last_position = position;
alter table ledger.hold alter column last_position set not null, add check (last_position >= position);

-- As before, and: a writer that does not know how many losses were accepted takes a turn first. Else it would, the next
-- time, take a loss of which nobody knows for the one that was given up.
drop function ledger.append(
    bigint, uuid, bigint, uuid[], text[], bigint[], text[], text[], text[], text[], text[], text[], text[], timestamptz[],
    text[]
);
create function ledger.append(
    head bigint, head_id uuid, losses bigint, max_ahead_ms bigint,
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
    if losses <> coalesce((select max(l.number) from ledger.accepted_loss l), 0) then
        return 'head';
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

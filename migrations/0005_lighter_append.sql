-- What an append costs the database, most of which was not the insert itself.

-- The record begins with what its columns say: as before, but one expression that the session keeps compiled, with nothing
-- in it that a search path could change, so that none has to be set for each row. Not a CHECK: that
-- would be planned anew by every statement. The source ends at the first quote, and is a ledger's id, whichever, in its one
-- spelling: what is no UUID at all is refused by its type.
create or replace function ledger.check_record() returns trigger language plpgsql volatile as $$
declare
    source text := pg_catalog.split_part(new.body, '"', 12);
begin
    if pg_catalog.starts_with(new.body, pg_catalog.concat(
        '{"specversion":"1.0","id":"', new.event_id, '","source":"', source, '","type":"', new.type,
        '","subject":"', new.vtid,
        '","time":"', pg_catalog.to_char(pg_catalog.timezone('UTC', new.recorded_at), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        '","datacontenttype":"application/json","position":"', new.position, '","streamversion":"', new.version,
        '","tenant":"', new.tenant, '","actor":', pg_catalog.to_json(new.actor), ',"actorrole":"', new.actor_role, '",',
        case when new.actor_tenant is null then '' else pg_catalog.concat('"actortenant":"', new.actor_tenant, '",') end,
        '"correlationid":"'
    )) then
        if source operator(pg_catalog.=) pg_catalog.concat('/vtid-ledger/', pg_catalog.substr(source, 14)::pg_catalog.uuid)
        then
            return new;
        end if;
    end if;
    raise exception 'the record of % at position % says something else than its columns', new.vtid, new.position
        using errcode = 'check_violation', constraint = 'event_record_says_the_same';
end $$;

-- As before, and for the same reason without a search path of its own.
create or replace function ledger.check_predecessor() returns trigger language plpgsql volatile as $$
begin
    perform from ledger.event e
        where e.vtid operator(pg_catalog.=) new.vtid and e.version operator(pg_catalog.=) (new.version operator(pg_catalog.-) 1)
            and e.tenant operator(pg_catalog.=) new.tenant and e.position operator(pg_catalog.<) new.position;
    if not found then
        raise exception 'version % of % does not follow the version before it of the same tenant', new.version, new.vtid
            using errcode = 'integrity_constraint_violation', constraint = 'event_follows_predecessor';
    end if;
    if new.type operator(pg_catalog.=) 'vtid-completed' and new.version operator(pg_catalog.=) 2 then
        perform ledger.check_completion(new);
    end if;
    return new;
end $$;

-- Whoever may complete a task for no other reason than having created it as complete does so right after that, and changes
-- nothing else. (Until now a part of ledger.check_predecessor.)
create function ledger.check_completion(new ledger.event) returns void language plpgsql volatile
set search_path = pg_catalog, pg_temp as $$
begin
    -- Everything else is the CHECK's.
    if new.actor_role in ('service_role', 'admin') or new.actor_tenant = new.tenant then
        return;
    end if;
    perform from ledger.event e
        where e.position = new.position - 1 and e.vtid = new.vtid and e.type = 'vtid-created'
            and e.actor = new.actor and e.actor_role = new.actor_role
            and e.actor_tenant is not distinct from new.actor_tenant
            and e.body::json #>> '{data,status}' = 'complete' and new.body::json #>> '{data}' = '{}';
    if not found then
        raise exception '% may not complete % of another tenant', new.actor, new.vtid
            using errcode = 'check_violation', constraint = 'event_completes_its_create';
    end if;
end $$;
revoke all on function ledger.check_completion from public, anon, authenticated, service_role, vtid_ledger_projector;
grant execute on function ledger.check_completion to vtid_ledger_writer;

-- As before, but: what an append depends on is looked up by one statement; and nobody is notified: the process that
-- appended tells the other replicas, some milliseconds later and for many appends at once.
create or replace function ledger.append(
    head bigint, head_id uuid, losses bigint, max_ahead_ms bigint,
    event_ids uuid[], vtids text[], versions bigint[], types text[], tenants text[],
    actors text[], actor_roles text[], actor_tenants text[], idempotency_keys text[], request_hashes text[],
    times timestamptz[], bodies text[]
) returns text language plpgsql volatile as $$
declare
    held boolean;
    accepted bigint;
    last_time timestamptz;
begin
    -- First of all: a snapshot taken before the wait would be older than the wait.
    perform pg_advisory_xact_lock_shared(ledger.append_lock());
    select
        exists (select from ledger.hold),
        coalesce((select max(l.number) from ledger.accepted_loss l), 0),
        (select e.recorded_at from ledger.event e where e.position = head and e.event_id = head_id)
        into held, accepted, last_time;
    if held then
        return 'hold';
    end if;
    if losses <> accepted or (head > 0 and last_time is null) then
        return 'head';
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
    return 'appended';
end $$;

-- Insert-only: each page is frozen once, soon after it was filled, and never looked at again by a vacuum that prevents
-- wraparound. By default the first vacuum of a log of 100 million events would wait for 20 million more.
alter table ledger.event set (
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000, autovacuum_freeze_min_age = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 500000
);
-- Few rows live, and many come and go.
alter table ledger.progress set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 10000
);

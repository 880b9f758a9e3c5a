-- Who may do what, for whoever comes with SQL. What is not granted here, or for the read table in
-- projections/vtid_ledger.sql, is the owner's alone.
--
--   service_role, authenticated   read the log, and what explains it: whose it is, and what of it was given up
--   anon                          nothing
--   vtid_ledger_writer            appends to the log, sets and lifts the hold, puts accepted losses on record
--   vtid_ledger_projector         keeps the read table with its cursor and snapshots, sets the hold
--
-- The first three are Supabase's roles, kept as they are where they exist. The service connects with a login that is a
-- member of the last two (setup/roles.sql). The lease has no user yet, so nobody is granted it.

-- Roles belong to the whole cluster: another database's migration may be making them at this very moment.
do $$
declare
    wanted text;
    missing text[] := '{}';
begin
    foreach wanted in array
        array['service_role', 'authenticated', 'anon', 'vtid_ledger_writer', 'vtid_ledger_projector']
    loop
        continue when exists (select from pg_roles where rolname = wanted);
        begin
            execute format('create role %I nologin', wanted);
        exception
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then missing := missing || wanted;
        end;
    end loop;
    if missing <> '{}' then
        raise exception
            'roles are missing, and % may not create them: let an administrator run setup/roles.sql, or: %', current_user,
            (select string_agg(format('create role %I nologin;', name), ' ') from unnest(missing) name)
            using errcode = 'insufficient_privilege';
    end if;
end $$;

-- The rule: service_role and admin may do everything; everybody else creates where they like, and patches within their
-- own tenant. A task created as complete is completed by its create: that second event comes from whoever made the first,
-- which ledger.check_predecessor looks at. Not NULL, which a CHECK would let pass. Rows that are there are checked by the
-- next migration, without a lock on readers and writers.
alter table ledger.event add constraint event_actor_may check (
    actor_role in ('service_role', 'admin')
    or actor_role = 'authenticated' and (
        type = 'vtid-created' and version = 1
        or coalesce(actor_tenant = tenant, false)
        or type = 'vtid-completed' and version = 2
    )
) not valid;

-- As before, and: whoever may complete a task for no other reason than having created it as complete does so right after
-- that, and changes nothing else.
create or replace function ledger.check_predecessor() returns trigger language plpgsql volatile as $$
begin
    perform from ledger.event e
        where e.vtid = new.vtid and e.version = new.version - 1 and e.tenant = new.tenant and e.position < new.position;
    if not found then
        raise exception 'version % of % does not follow version % of the same tenant', new.version, new.vtid, new.version - 1
            using errcode = 'integrity_constraint_violation', constraint = 'event_follows_predecessor';
    end if;
    -- Everything else is the CHECK's.
    if new.type <> 'vtid-completed' or new.version <> 2
        or new.actor_role in ('service_role', 'admin') or new.actor_tenant = new.tenant
    then
        return new;
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
    return new;
end $$;

-- Followers, subscribers and auditors read the record; the rules above, and every look-up, read the columns. So the record
-- begins with what the columns say: its attributes stand in one order, and those of the rule before all that a caller can
-- choose. (As text: taking the JSON apart costs as much as the whole insert.)
create function ledger.check_record() returns trigger language plpgsql volatile as $$
declare
    before_source text := format('{"specversion":"1.0","id":"%s","source":"/vtid-ledger/', new.event_id);
    -- A ledger's id, whichever: 36 characters, and nothing that could end the attribute.
    ledger_id text := substr(new.body, length(before_source) + 1, 36);
    after_source text := format(
        '","type":"%s","subject":"%s","time":"%s","datacontenttype":"application/json","position":"%s",'
            '"streamversion":"%s","tenant":"%s","actor":%s,"actorrole":"%s",%s"correlationid":"',
        new.type, new.vtid, to_char(new.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        new.position, new.version, new.tenant, to_json(new.actor), new.actor_role,
        '"actortenant":"' || new.actor_tenant || '",'
    );
begin
    if starts_with(new.body, before_source) and translate(ledger_id, '0123456789abcdef-', '') = ''
        and starts_with(substr(new.body, length(before_source) + 37), after_source)
    then
        return new;
    end if;
    raise exception 'the record of % at position % says something else than its columns', new.vtid, new.position
        using errcode = 'check_violation', constraint = 'event_record_says_the_same';
end $$;
create trigger event_record_says_the_same before insert on ledger.event
    for each row execute function ledger.check_record();
alter table ledger.event enable always trigger event_record_says_the_same;

-- What a check calls is what it was written with, whatever a session's search path has in front.
alter function ledger.check_predecessor() set search_path = pg_catalog, pg_temp;
alter function ledger.check_record() set search_path = pg_catalog, pg_temp;
alter function ledger.refuse_change() set search_path = pg_catalog, pg_temp;
alter function ledger.refuse_change_of_loss() set search_path = pg_catalog, pg_temp;

-- Nothing by default, nor what a platform's default privileges have given away.
revoke all on schema ledger from public, anon, authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
revoke all on all tables in schema ledger
    from public, anon, authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
revoke all on all functions in schema ledger
    from public, anon, authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;

grant usage on schema ledger to authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
grant select on ledger.event, ledger.identity, ledger.accepted_loss
    to authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;

-- Both parts of the service look whether the schema is theirs, and stop the writes when they find that history was lost.
-- A task's snapshot is written by the one and read by both.
grant select on ledger._migrations, ledger.projection, ledger.snapshot, ledger.hold
    to vtid_ledger_writer, vtid_ledger_projector;
grant insert, update on ledger.hold to vtid_ledger_writer, vtid_ledger_projector;
grant execute on function ledger.append_lock to vtid_ledger_writer, vtid_ledger_projector;

grant insert on ledger.event, ledger.accepted_loss to vtid_ledger_writer;
grant delete on ledger.hold to vtid_ledger_writer;
grant execute on function ledger.append to vtid_ledger_writer;

grant insert, update on ledger.snapshot to vtid_ledger_projector;
grant select, insert, delete on ledger.progress to vtid_ledger_projector;
grant update (revision, mending_revision, mended_to) on ledger.projection to vtid_ledger_projector;
grant execute on function ledger.projection_lock, ledger.move_cursor, ledger.prune_progress to vtid_ledger_projector;

-- Not forced: the owner sees every row, and so does a dump.
alter table ledger.event enable row level security;
create policy event_read on ledger.event for select
    to authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector using (true);
create policy event_append on ledger.event for insert to vtid_ledger_writer with check (true);

-- The read table: one row a task, kept current by the projector. May be dropped and rebuilt from the log.

create table if not exists "VtidLedger" (
    id text not null primary key,
    vtid text collate "C" not null,
    task_family text not null,
    task_type text not null,
    description text not null,
    status text not null,
    assigned_to text,
    tenant text not null,
    metadata jsonb,
    parent_vtid text collate "C",
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null,
    -- What the projector needs: where the task's first and last events stand in the log, and how many it has.
    version bigint not null,
    created_position bigint not null,
    position bigint not null
);

-- Room on each page for the next version of a row, so that a patch which touches no indexed column leaves the indexes
-- alone; and dead versions go soon, however large the table is.
alter table "VtidLedger" set (
    fillfactor = 90, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02
);

create unique index if not exists idx_vtid_lookup on "VtidLedger" (vtid);
-- Read backwards: newest first. Ascending, because new rows then come in at the end of each value's part, where a full page
-- is left full; descending, where older ledgers have them, they serve as well, and take up nearly twice the room.
-- created_position tells apart what was created in the same millisecond.
create index if not exists idx_vtid_created_at on "VtidLedger" (created_at, created_position);
-- Newest first too: positions have the order of the times. Not by created_at, or the planner would take the index above
-- and look through the whole table for the rows of a rare value.
create index if not exists idx_vtid_family_created on "VtidLedger" (task_family, created_position);
create index if not exists idx_vtid_type_created on "VtidLedger" (task_type, created_position);
create index if not exists idx_vtid_status_created on "VtidLedger" (status, created_position);
create index if not exists idx_vtid_tenant_created on "VtidLedger" (tenant, created_position);
create index if not exists idx_vtid_assigned_created on "VtidLedger" (assigned_to, created_position)
    where assigned_to is not null;
create index if not exists idx_vtid_parent_created on "VtidLedger" (parent_vtid, created_position)
    where parent_vtid is not null;

-- Writes rows, one a task: metadata comes as text, so that every digit of its numbers arrives.
create or replace function ledger.write_vtid_ledger(
    ids text[], vtids text[], families text[], types text[], descriptions text[], statuses text[], assignees text[],
    tenants text[], metadata text[], parents text[], created timestamptz[], updated timestamptz[],
    versions bigint[], created_positions bigint[], positions bigint[]
) returns void language plpgsql volatile as $$
begin
    insert into public."VtidLedger" as t (
        id, vtid, task_family, task_type, description, status, assigned_to, tenant, metadata, parent_vtid,
        created_at, updated_at, version, created_position, position
    )
    select n.id, n.vtid, n.task_family, n.task_type, n.description, n.status, n.assigned_to, n.tenant, n.metadata::jsonb,
        n.parent_vtid, n.created_at, n.updated_at, n.version, n.created_position, n.position
    from unnest(
        ids, vtids, families, types, descriptions, statuses, assignees, tenants, metadata, parents, created, updated,
        versions, created_positions, positions
    ) as n (
        id, vtid, task_family, task_type, description, status, assigned_to, tenant, metadata, parent_vtid,
        created_at, updated_at, version, created_position, position
    )
    on conflict (vtid) do update set
        id = excluded.id, task_family = excluded.task_family, task_type = excluded.task_type,
        description = excluded.description, status = excluded.status, assigned_to = excluded.assigned_to,
        tenant = excluded.tenant, metadata = excluded.metadata, parent_vtid = excluded.parent_vtid,
        created_at = excluded.created_at, updated_at = excluded.updated_at, version = excluded.version,
        created_position = excluded.created_position, position = excluded.position;
end $$;

-- Applies one batch: moves the cursor, then writes the rows (the last state of each task) and the snapshots, all in the
-- caller's transaction. Says what happened: moved, or what stands against it: cursor, log (see ledger.move_cursor), or
-- revision: code of a later revision projects or rebuilds, and this code must not write among its rows.
create or replace function ledger.project_vtid_ledger(
    ids text[], vtids text[], families text[], types text[], descriptions text[], statuses text[], assignees text[],
    tenants text[], metadata text[], parents text[], created timestamptz[], updated timestamptz[],
    versions bigint[], created_positions bigint[], positions bigint[],
    snapshot_vtids text[], snapshot_versions bigint[], snapshot_positions bigint[], snapshot_states text[],
    code_revision integer, previous_position bigint, new_position bigint, new_event_id uuid
) returns text language plpgsql volatile as $$
declare
    reply text;
begin
    -- First of all, and kept to the end: a rebuild begins under this lock's exclusive form.
    perform pg_advisory_xact_lock_shared(ledger.projection_lock('vtid_ledger'));
    perform from ledger.projection p
        where p.name = 'vtid_ledger' and greatest(p.revision, p.mending_revision) > code_revision;
    if found then
        return 'revision';
    end if;
    reply := ledger.move_cursor('vtid_ledger', previous_position, new_position, new_event_id);
    if reply <> 'moved' then
        return reply;
    end if;
    perform ledger.write_vtid_ledger(
        ids, vtids, families, types, descriptions, statuses, assignees, tenants, metadata, parents, created, updated,
        versions, created_positions, positions
    );
    if cardinality(snapshot_vtids) > 0 then
        insert into ledger.snapshot (vtid, version, position, state)
        select n.vtid, n.version, n.position, n.state
        from unnest(snapshot_vtids, snapshot_versions, snapshot_positions, snapshot_states)
            as n (vtid, version, position, state)
        on conflict (vtid, version) do update set position = excluded.position, state = excluded.state;
    end if;
    if new_position / 256 <> previous_position / 256 then
        perform ledger.prune_progress('vtid_ledger', previous_position);
    end if;
    return 'moved';
end $$;

-- Who may do what: see migrations/0003_roles.sql. Some platforms grant new tables in this schema to everybody by default.
revoke all on "VtidLedger" from public, anon, authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
grant select on "VtidLedger" to authenticated, service_role, vtid_ledger_projector;
grant insert, update, delete on "VtidLedger" to vtid_ledger_projector;

revoke all on function ledger.write_vtid_ledger, ledger.project_vtid_ledger
    from public, anon, authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
grant execute on function ledger.write_vtid_ledger, ledger.project_vtid_ledger to vtid_ledger_projector;

-- Only what is missing: these lock readers out, and must not wait for them when this is applied once more. Not forced:
-- the owner sees every row, and so does a dump.
do $$
begin
    if not (select relrowsecurity from pg_class where oid = '"VtidLedger"'::regclass) then
        alter table "VtidLedger" enable row level security;
    end if;
    if not exists (select from pg_policy where polrelid = '"VtidLedger"'::regclass and polname = 'vtid_ledger_read') then
        create policy vtid_ledger_read on "VtidLedger" for select to authenticated, service_role using (true);
    end if;
    if not exists (select from pg_policy where polrelid = '"VtidLedger"'::regclass and polname = 'vtid_ledger_keep') then
        create policy vtid_ledger_keep on "VtidLedger" for all to vtid_ledger_projector using (true) with check (true);
    end if;
end $$;

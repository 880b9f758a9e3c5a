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

create unique index if not exists idx_vtid_lookup on "VtidLedger" (vtid);
-- Newest first; created_position tells apart what was created in the same millisecond.
create index if not exists idx_vtid_created_at on "VtidLedger" (created_at desc, created_position desc);
create index if not exists idx_vtid_family_created on "VtidLedger" (task_family, created_at desc, created_position desc);
create index if not exists idx_vtid_type_created on "VtidLedger" (task_type, created_at desc, created_position desc);
create index if not exists idx_vtid_status_created on "VtidLedger" (status, created_at desc, created_position desc);
create index if not exists idx_vtid_tenant_created on "VtidLedger" (tenant, created_at desc, created_position desc);
create index if not exists idx_vtid_assigned_created on "VtidLedger" (assigned_to, created_at desc, created_position desc)
    where assigned_to is not null;
create index if not exists idx_vtid_parent_created on "VtidLedger" (parent_vtid, created_at desc, created_position desc)
    where parent_vtid is not null;

-- The table of the model that the ledger replaces, with its indexes, and one by which the highest number is found.
create table "VtidLedger" (
    id text primary key,
    vtid text collate "C" not null,
    task_family text not null,
    task_type text not null,
    description text not null,
    status text not null default 'pending',
    assigned_to text,
    tenant text not null,
    metadata jsonb,
    parent_vtid text,
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now()
);
create unique index idx_vtid_lookup on "VtidLedger" (vtid);
create index idx_vtid_created_at on "VtidLedger" (created_at);
create index idx_vtid_family_created on "VtidLedger" (task_family, created_at);
create index idx_vtid_status_created on "VtidLedger" (status, created_at);
create index idx_vtid_tenant_created on "VtidLedger" (tenant, created_at);
create index idx_vtid_number on "VtidLedger" (length(vtid), vtid);

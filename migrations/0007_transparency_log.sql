-- The transparency log: RFC 6962's Merkle tree over the records, in the tiles of C2SP's tlog-tiles, and the checkpoints
-- that were signed. A tree belongs to an origin, the log's name in its checkpoints: after a loss of sealed history that an
-- operator accepted, the ledger goes on under another origin, with a tree of its own.

-- The verifier keys that checkpoints were signed with, of this time and of earlier ones.
create table ledger.audit_key (
    origin text collate "C" not null,
    verifier text collate "C" not null,
    first_used timestamptz(3) not null default clock_timestamp(),
    primary key (origin, verifier)
);

-- Full tiles alone, which never change again. What a tree has at its right edge follows from them: of the lowest level from
-- the records, of each other one from the roots of the tiles below.
create table ledger.tile (
    origin text collate "C" not null,
    level smallint not null check (level between 0 and 63),
    number bigint not null check (number >= 0),
    root bytea not null check (octet_length(root) = 32),
    hashes bytea not null check (octet_length(hashes) = 8192),
    primary key (origin, level, number)
);
-- Hashes do not get smaller.
alter table ledger.tile alter column hashes set storage external;

-- Every checkpoint. The next one's `previous` is the compare-and-set: a sealer that slept can't go back.
create table ledger.checkpoint (
    origin text collate "C" not null,
    size bigint not null check (size >= 1),
    previous bigint not null,
    event_id uuid not null,
    root bytea not null check (octet_length(root) = 32),
    note text not null check (octet_length(note) <= 16384),
    signed_at timestamptz(3) not null,
    primary key (origin, size),
    constraint checkpoint_previous unique (origin, previous),
    check (size > previous)
);

-- What witnesses signed for a checkpoint: a line of its note each.
create table ledger.cosignature (
    origin text collate "C" not null,
    size bigint not null,
    witness text collate "C" not null,
    line text not null check (octet_length(line) <= 8192),
    primary key (origin, size, witness),
    foreign key (origin, size) references ledger.checkpoint (origin, size)
);

-- All four stay on record, like the events.
create function ledger.refuse_change_of_audit() returns trigger language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
    raise exception 'ledger.% is immutable: % refused', tg_table_name, tg_op using errcode = 'insufficient_privilege';
end $$;
create trigger audit_key_is_immutable before update or delete or truncate on ledger.audit_key
    for each statement execute function ledger.refuse_change_of_audit();
create trigger tile_is_immutable before update or delete or truncate on ledger.tile
    for each statement execute function ledger.refuse_change_of_audit();
create trigger checkpoint_is_immutable before update or delete or truncate on ledger.checkpoint
    for each statement execute function ledger.refuse_change_of_audit();
create trigger cosignature_is_immutable before update or delete or truncate on ledger.cosignature
    for each statement execute function ledger.refuse_change_of_audit();
alter table ledger.audit_key enable always trigger audit_key_is_immutable;
alter table ledger.tile enable always trigger tile_is_immutable;
alter table ledger.checkpoint enable always trigger checkpoint_is_immutable;
alter table ledger.cosignature enable always trigger cosignature_is_immutable;

-- Keeps full tiles, which may be there already: whoever makes them from the same records makes the same. Says what
-- happened: kept, or what stands against it: log, where the log does not hold the last event that is in them (they may be
-- of events that a failover lost, and would never go away again); different, where one is there with other hashes: the
-- records are not those that it was made of.
create function ledger.keep_tiles(
    tree_origin text, last_position bigint, last_event_id uuid,
    levels smallint[], numbers bigint[], roots bytea[], tiles bytea[]
) returns text language plpgsql volatile as $$
begin
    perform from ledger.event e where e.position = last_position and e.event_id = last_event_id;
    if not found then
        return 'log';
    end if;
    insert into ledger.tile (origin, level, number, root, hashes)
        select tree_origin, new.level, new.number, new.root, new.hashes
        from unnest(levels, numbers, roots, tiles) as new (level, number, root, hashes)
        order by new.level, new.number
        on conflict (origin, level, number) do nothing;
    perform from unnest(levels, numbers, roots, tiles) as new (level, number, root, hashes)
        left join ledger.tile t on t.origin = tree_origin and t.level = new.level and t.number = new.number
        where t.root is distinct from new.root or t.hashes is distinct from new.hashes;
    return case when found then 'different' else 'kept' end;
end $$;

-- Puts a checkpoint on record, if the newest one is still the one it follows and the log's event at its size is the one
-- that was sealed. Says what happened: sealed, or what stands against it: checkpoint, log. Two that seal from the same one
-- meet in checkpoint_previous.
create function ledger.seal(
    tree_origin text, previous_size bigint, new_size bigint, new_event_id uuid, new_root bytea, new_note text,
    new_time timestamptz
) returns text language plpgsql volatile as $$
declare
    newest bigint;
begin
    select c.size into newest from ledger.checkpoint c where c.origin = tree_origin order by c.size desc limit 1;
    if coalesce(newest, 0) <> previous_size then
        return 'checkpoint';
    end if;
    perform from ledger.event e where e.position = new_size and e.event_id = new_event_id;
    if not found then
        return 'log';
    end if;
    insert into ledger.checkpoint (origin, size, previous, event_id, root, note, signed_at)
        values (tree_origin, new_size, previous_size, new_event_id, new_root, new_note, new_time);
    return 'sealed';
end $$;

-- A second row in ledger.hold is the sealer's: the records are not those that were sealed. It stands and goes apart from
-- the first, which says that history was lost: neither is lifted with the other, and each stops all appends. (A program that
-- knows one row alone sees either, and lifts both; the sealer sets its own again.)
alter table ledger.hold drop constraint hold_only_row_check;
comment on column ledger.hold.only_row is
    'true: the ledger lost history; false: the sealer found that the past is not the one that was sealed';

-- Whoever may read the log may read what proves it; the service's writing part seals. Not what a platform's default
-- privileges have given away.
revoke all on ledger.audit_key, ledger.tile, ledger.checkpoint, ledger.cosignature
    from public, anon, authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
revoke all on function ledger.keep_tiles, ledger.seal, ledger.refuse_change_of_audit
    from public, anon, authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
grant select on ledger.audit_key, ledger.tile, ledger.checkpoint, ledger.cosignature
    to authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
grant insert on ledger.audit_key, ledger.tile, ledger.checkpoint, ledger.cosignature to vtid_ledger_writer;
grant execute on function ledger.keep_tiles, ledger.seal to vtid_ledger_writer;

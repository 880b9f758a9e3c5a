-- Leases: which replica projects and which relays. They save work and are never needed for correctness, which is the
-- compare-and-set of cursor and stream. (The table was there, and nobody was ever granted it.)
drop table ledger.lease;

-- Insert-only, like ledger.progress and for the same reason: one row that is updated every second would leave 3,600 dead
-- versions an hour beside one open snapshot, and every look would wade through them. Here the newest row is the first
-- entry of the index, read backwards, whatever lies behind it. The next number is the compare-and-set.
create table ledger.lease (
    name text collate "C" not null,
    number bigint not null,
    -- Rises with each new holder, and whenever a holder let its lease run out.
    term bigint not null,
    holder uuid not null,
    -- By this server's clock; not rounded, or it might end before its holder reckons with it.
    until timestamptz not null,
    constraint lease_number primary key (name, number)
);
alter table ledger.lease set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 10000
);

-- Takes a lease that is free or has run out, or renews the asker's own, for so long from now on; tells who holds it
-- then, and how much of it was left when this began. Two that take it at once meet in the primary key: the slower one is
-- told the other's. A lease that ends later than one taken now would was granted before this server's clock was set back:
-- its holder keeps it for one whole lease more, by when it has renewed it or reckons itself that it ran out.
create function ledger.keep_lease(
    lease_name text, asker uuid, lasts_ms bigint,
    out lease_holder uuid, out lease_term bigint, out lease_number bigint, out left_ms bigint
) language plpgsql volatile as $$
declare
    standing ledger.lease;
    moment timestamptz;
    lasts interval := lasts_ms * interval '1 millisecond';
begin
    select * into standing from ledger.lease l where l.name = lease_name order by l.number desc limit 1;
    moment := clock_timestamp();
    if standing.number is null then
        standing := row(lease_name, 0, 0, asker, moment);
    end if;
    if standing.until <= moment then
        standing.term := standing.term + 1;
        standing.holder := asker;
    end if;
    if standing.holder = asker or standing.until > moment + lasts then
        insert into ledger.lease (name, number, term, holder, until)
            values (lease_name, standing.number + 1, standing.term, standing.holder, moment + lasts)
            on conflict do nothing;
        -- Looks only so far back: see ledger.prune_progress.
        if standing.number % 16 = 0 then
            delete from ledger.lease l where l.name = lease_name and l.number in (
                select old.number from ledger.lease old
                    where old.name = lease_name
                        and old.number >= standing.number - 1024 and old.number < standing.number - 16
                    order by old.number limit 256
            );
        end if;
    end if;
    -- Whatever came of it: one that was held up in here for long may have filled a gap among what was pruned.
    select l.holder, l.term, l.number, floor(extract(epoch from l.until - moment) * 1000)::bigint
        into lease_holder, lease_term, lease_number, left_ms
        from ledger.lease l where l.name = lease_name order by l.number desc limit 1;
end $$;

-- Ends a lease that its holder has no use for any more, and tells those who wait for it. Does nothing unless it is still
-- the row that the holder was told of: one that arrives late must not end what was renewed since. Tells whether it was.
create function ledger.give_back_lease(lease_name text, asker uuid, asker_number bigint) returns boolean
language plpgsql volatile as $$
begin
    insert into ledger.lease (name, number, term, holder, until)
        select standing.name, standing.number + 1, standing.term, standing.holder, clock_timestamp()
        from (
            select * from ledger.lease l where l.name = lease_name order by l.number desc limit 1
        ) standing
        where standing.holder = asker and standing.number = asker_number and standing.until > clock_timestamp()
        on conflict do nothing;
    if found then
        perform pg_notify('ledger_lease', lease_name);
        return true;
    end if;
    return false;
end $$;

-- Both parts of the service keep leases. Not what a platform's default privileges have given away.
revoke all on ledger.lease from public, anon, authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
revoke all on function ledger.keep_lease, ledger.give_back_lease
    from public, anon, authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
grant select, insert, delete on ledger.lease to vtid_ledger_writer, vtid_ledger_projector;
grant execute on function ledger.keep_lease, ledger.give_back_lease to vtid_ledger_writer, vtid_ledger_projector;

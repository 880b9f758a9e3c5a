-- A writer's turn in two round trips, since all others wait meanwhile.

-- Takes the exclusive append lock for the session, waiting so long at most, and shows what the log has from head on, up to
-- so many events, whether it has an event at another position, the hold, and how many losses were accepted: one row
-- at least. For the session, so that the look and the append after it commit by themselves. Whoever calls this lets go again, with the
-- append or by pg_advisory_unlock, or ends the session.
create function ledger.take_turn(patience_ms integer, head bigint, max_events bigint, unsettled_position bigint)
returns table (
    losses bigint, reason text, first_lost bigint, last_lost bigint, unsettled_id uuid,
    event_position bigint, event_id uuid, body text
) language plpgsql volatile as $$
#variable_conflict use_column
begin
    perform set_config('lock_timeout', patience_ms::text, true);
    -- Before the look: a snapshot taken before the wait would be older than the wait.
    perform pg_advisory_lock(ledger.append_lock());
    return query
        select l.number, h.reason, h.position, h.last_position, u.event_id, e.position, e.event_id, e.body
        from (select max(a.number) as number from ledger.accepted_loss a) l
        left join (
            select k.reason, k.position, k.last_position from ledger.hold k order by k.only_row desc limit 1
        ) h on true
        left join ledger.event u on u.position = unsettled_position
        left join (
            select t.position, t.event_id, t.body from ledger.event t where t.position >= head order by t.position limit max_events
        ) e on true
        order by e.position;
end $$;
revoke all on function ledger.take_turn
    from public, anon, authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
grant execute on function ledger.take_turn to vtid_ledger_writer;

-- A writer's turn in two round trips, since all others wait meanwhile.

-- Takes the exclusive append lock for the session, waiting so long at most, and shows what the log has from head on, up to
-- so many events, whether it has an event at another position, the hold, and how many losses were accepted. Each event is a
-- line of the tail, its position, its id and its record: a record has no line feed. For the session, so that the look and the
-- append after it commit by themselves. Whoever calls this lets go again, with the append or by pg_advisory_unlock, or ends the
-- session.
create function ledger.take_turn(
    patience_ms integer, head bigint, max_events bigint, unsettled_position bigint,
    out losses bigint, out reason text, out first_lost bigint, out last_lost bigint, out unsettled_id uuid, out tail text
) language plpgsql volatile as $$
begin
    perform set_config('lock_timeout', patience_ms::text, true);
    -- Before the look: a snapshot taken before the wait would be older than the wait.
    perform pg_advisory_lock(ledger.append_lock());
    select
        (select max(a.number) from ledger.accepted_loss a),
        (select u.event_id from ledger.event u where u.position = unsettled_position),
        (
            select string_agg(concat_ws(' ', e.position, e.event_id, e.body), e'\n')
            from (
                select t.position, t.event_id, t.body
                from ledger.event t where t.position >= head order by t.position limit max_events
            ) e
        ),
        h.reason, h.position, h.last_position
        into losses, unsettled_id, tail, reason, first_lost, last_lost
        from (values (1)) one
        left join (
            select k.reason, k.position, k.last_position from ledger.hold k order by k.only_row desc limit 1
        ) h on true;
end $$;
revoke all on function ledger.take_turn
    from public, anon, authenticated, service_role, vtid_ledger_writer, vtid_ledger_projector;
grant execute on function ledger.take_turn to vtid_ledger_writer;

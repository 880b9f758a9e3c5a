-- What was given up: one row for each loss of history that an operator accepted (vtid-ledger oasis rebuild --accept-loss).
-- Whoever remembers an event that the log no longer has learns from the number whether that was given up since.
create table ledger.accepted_loss (
    number bigint primary key check (number >= 1),
    -- The first position that was lost: the ledger goes on from the one before it, and gives this one out again.
    first_position bigint not null check (first_position >= 1),
    -- The last position that the stream was known to have had.
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

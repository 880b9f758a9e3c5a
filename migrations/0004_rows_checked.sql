-- Apart from the constraint itself, so that reads and writes go on meanwhile.
alter table ledger.event validate constraint event_actor_may;

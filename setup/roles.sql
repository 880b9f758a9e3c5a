-- The ledger's roles and logins, made once by an administrator. May be run again, which sets the passwords anew.
--
--   On a server of your own, as a superuser (or a role that may create roles and databases), in any database:
--
--     OWNER_PASSWORD=… SERVICE_PASSWORD=… psql "$ADMIN_URL" -f setup/roles.sql
--
--   makes the database vtid_ledger and the login that owns it, vtid_ledger_owner. On Supabase, or wherever the database
--   and its owner are there already, as that owner, in that database:
--
--     SERVICE_PASSWORD=… psql "$OWNER_URL" -f setup/roles.sql
--
-- Either way the service's login is vtid_ledger_service. Then, by two logins:
--
--     DATABASE_URL=$OWNER_URL   vtid-ledger migrate
--     DATABASE_URL=$SERVICE_URL vtid-ledger serve
--
-- Needs psql 15 or later.
\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv service_password SERVICE_PASSWORD
\if :{?service_password}
\else
    \set service_password ''
\endif
select :'service_password' = '' as is_missing
\gset
\if :is_missing
    do $$ begin raise exception 'SERVICE_PASSWORD is not set'; end $$;
\endif

-- What each of them may do is granted by the migrations. The first three are Supabase's, and kept where they exist.
select format('create role %I nologin', name)
from unnest(array['service_role', 'authenticated', 'anon', 'vtid_ledger_writer', 'vtid_ledger_projector']) name
where not exists (select from pg_roles where rolname = name)
\gexec

-- The service's login: no superuser, owns nothing, and has the rights of both parts of the service.
select 'create role vtid_ledger_service login'
where not exists (select from pg_roles where rolname = 'vtid_ledger_service')
\gexec
do $$ begin
    if exists (select from pg_roles where rolname = 'vtid_ledger_service' and (rolsuper or rolbypassrls)) then
        raise exception 'vtid_ledger_service is there already, and may do too much: it must be no superuser, nor bypass row-level security';
    end if;
end $$;
alter role vtid_ledger_service login password :'service_password';
grant vtid_ledger_writer, vtid_ledger_projector to vtid_ledger_service;
-- For its metrics: how old the oldest open transaction is, whoever's it may be. (It shows the texts of everybody's
-- statements too, as long as they run.) A superuser may give this away, or whoever was given it to give on. Without it
-- the service works as well, but sees its own transactions alone, and its metrics say so.
do $$ begin
    grant pg_read_all_stats to vtid_ledger_service;
exception when insufficient_privilege then
    raise notice 'vtid_ledger_service will not see others'' transactions: % may not grant pg_read_all_stats', current_user;
end $$;

\if :{?owner_password}
    select 'create role vtid_ledger_owner login'
    where not exists (select from pg_roles where rolname = 'vtid_ledger_owner')
    \gexec
    alter role vtid_ledger_owner password :'owner_password';
    -- Who is no superuser has to be a member of the owner to give it a database.
    select format('grant vtid_ledger_owner to %I', current_user)
    where not (select rolsuper from pg_roles where rolname = current_user)
    \gexec
    select 'create database vtid_ledger owner vtid_ledger_owner encoding ''UTF8'' template template0'
    where not exists (select from pg_database where datname = 'vtid_ledger')
    \gexec
    do $$ begin
        if not exists (
            select from pg_database where datname = 'vtid_ledger' and datdba = 'vtid_ledger_owner'::regrole
        ) then
            raise exception 'the database vtid_ledger is there already, and another''s'
                using hint = 'Run this file as its owner, in that database, without OWNER_PASSWORD.';
        end if;
    end $$;
    -- Other logins of this server have no business here; whoever is granted one of the readers' roles has.
    revoke all on database vtid_ledger from public;
    grant connect on database vtid_ledger to vtid_ledger_service, service_role, authenticated;
\else
    select format('grant connect on database %I to vtid_ledger_service', current_database())
    \gexec
\endif

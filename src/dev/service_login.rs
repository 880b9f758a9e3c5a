//! The login of a private PostgreSQL with which the service connects, as in production: no superuser, owner of nothing.

use uuid::Uuid;

/// As `setup/roles.sql` names it.
pub(super) const NAME: &str = "vtid_ledger_service";

/// The service's login, with a password that lasts until it is made anew.
#[derive(Debug, Clone)]
pub struct ServiceLogin {
    password: String,
}

impl ServiceLogin {
    pub(super) fn new() -> Self {
        Self { password: Uuid::new_v4().simple().to_string() }
    }

    /// Letters and digits alone.
    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// What the cluster's owner runs, as `setup/roles.sql` does: the rights themselves are granted by the migrations.
    pub(super) fn sql(&self) -> String {
        format!(
            "do $$
            declare
                wanted text;
            begin
                foreach wanted in array array['vtid_ledger_writer', 'vtid_ledger_projector', '{NAME}'] loop
                    if not exists (select from pg_roles where rolname = wanted) then
                        execute format('create role %I', wanted);
                    end if;
                end loop;
            end $$;
            alter role {NAME} login password '{}';
            grant vtid_ledger_writer, vtid_ledger_projector to {NAME};",
            self.password
        )
    }
}

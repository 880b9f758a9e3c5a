//! The login of a private PostgreSQL with which the service connects, as in production: no superuser, owner of nothing.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::error::DevError;
use super::postgres::PostgresServer;

/// As `setup/roles.sql` names it.
const NAME: &str = "vtid_ledger_service";

/// The service's login, with a password that lasts until it is made anew.
#[derive(Debug, Clone)]
pub struct ServiceLogin {
    password: String,
}

impl ServiceLogin {
    /// The password has letters and digits alone.
    fn new() -> Self {
        Self { password: Uuid::new_v4().simple().to_string() }
    }

    /// Makes the login on the server of this address, which is a superuser's: for servers that are not started here.
    ///
    /// # Errors
    /// PostgreSQL's refusal.
    pub async fn make(owner: &str) -> Result<Self, DevError> {
        let login = Self::new();
        let mut connection = PgConnection::connect(owner).await?;
        sqlx::raw_sql(AssertSqlSafe(login.sql())).execute(&mut connection).await?;
        connection.close().await?;
        Ok(login)
    }

    /// The service's address of these hosts and this database, password included.
    #[must_use]
    pub fn address(&self, hosts: &str, database: &str) -> String {
        format!("postgres://{NAME}:{}@{hosts}/{database}", self.password)
    }

    /// What the cluster's owner runs, as `setup/roles.sql` does: the rights themselves are granted by the migrations.
    fn sql(&self) -> String {
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
            grant vtid_ledger_writer, vtid_ledger_projector, pg_read_all_stats to {NAME};",
            self.password
        )
    }
}

impl PostgresServer {
    /// Makes the login that the service is to use, or gives it another password if it is there.
    ///
    /// # Errors
    /// PostgreSQL's refusal.
    pub async fn service_login(&self) -> Result<ServiceLogin, DevError> {
        let login = ServiceLogin::new();
        self.execute(login.sql()).await?;
        Ok(login)
    }

    /// The service's address of `database`, password included.
    #[must_use]
    pub fn service_url(&self, login: &ServiceLogin, database: &str) -> String {
        self.url_of(NAME, &login.password, database)
    }
}

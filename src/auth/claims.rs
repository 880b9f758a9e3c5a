//! What a token's claims say of the caller, as Supabase issues them. Pure.

use serde::Deserialize;
use serde_json::Value;

use super::verify::TokenFault;
use crate::domain::origin::{Actor, Role};
use crate::domain::text::{ActorId, Tenant};

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Somebody with a role that the ledger knows.
    Actor(Actor),
    /// Somebody with a valid token whose role, `anon` or any other, has no rights here.
    Outsider(ActorId),
}

impl Caller {
    /// The name under which the caller's requests are counted and written down.
    #[must_use]
    pub fn id(&self) -> &ActorId {
        match self {
            Self::Actor(actor) => &actor.id,
            Self::Outsider(id) => id,
        }
    }
}

/// The claims that the ledger reads. A claim that comes twice is a fault, as is one of another type.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) exp: serde_json::Number,
    sub: Option<String>,
    role: Option<String>,
    tenant: Option<String>,
    app_metadata: Option<AppMetadata>,
    #[serde(flatten)]
    _others: Others,
}

/// What only the issuer can set (`user_metadata`, which users can, is not read).
#[derive(Debug, Default, Deserialize)]
struct AppMetadata {
    tenant: Option<String>,
    /// Other applications keep what they like here.
    role: Option<Value>,
    #[serde(flatten)]
    _others: Others,
}

/// Whatever else there is. Being flattened, it has an object be asked for, where serde would take a list of values too.
#[derive(Debug, Default, Deserialize)]
struct Others {}

/// Who has a token without a role.
const NO_ROLE: &str = "anon";

impl Claims {
    /// Who the claims say it is.
    ///
    /// # Errors
    /// [`TokenFault::Claim`]: a name or tenant that no event could bear.
    pub(super) fn caller(self) -> Result<Caller, TokenFault> {
        let issued = self.app_metadata.unwrap_or_default();
        let is_admin = issued.role.is_some_and(|role| role == Role::Admin.as_str());
        let named = |otherwise: &str| {
            let name = self.sub.as_deref().unwrap_or(otherwise);
            ActorId::parse(name).map_err(|_| TokenFault::Claim("sub"))
        };
        let Some(role) = effective_role(self.role.as_deref(), is_admin) else {
            return named(NO_ROLE).map(Caller::Outsider);
        };
        // Supabase's classic service_role key names nobody.
        let id = named(role.as_str())?;
        let tenant = match issued.tenant.or(self.tenant) {
            Some(name) => Some(Tenant::parse(&name).map_err(|_| TokenFault::Claim("tenant"))?),
            None => None,
        };
        Ok(Caller::Actor(Actor { id, role, tenant }))
    }
}

/// `app_metadata.role` makes an admin of whoever signed in, and of a token without a role; never of `anon`, nor of a
/// role that the ledger does not know.
fn effective_role(role: Option<&str>, is_admin: bool) -> Option<Role> {
    match (role.map(Role::parse), is_admin) {
        (None | Some(Some(Role::Authenticated)), true) => Some(Role::Admin),
        (role, _) => role.flatten(),
    }
}

//! Who calls, and whether they may: found out before the route is, as the contract's order of errors asks for.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, header};

use super::error::ApiError;
use super::rate::{RateLimiter, Who};
use super::{HEALTH, READY, headers, tlog};
use crate::auth::Auth;
use crate::auth::claims::Caller;
use crate::auth::jwks::Patience;
use crate::auth::verify::TokenFault;
#[cfg(doc)]
use crate::domain::origin::Actor;

/// Where a connection comes from; left in its requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Lets a request in, and leaves in it the [`Actor`] who sent it; without one, `/readyz` tells less. Whoever asks for what is
/// public is counted by address, and its token not looked at.
///
/// # Errors
/// 401, 429 and 403, in this order; 503 where keys are needed that can't be had.
pub(super) async fn admit(auth: &Auth, rate: &RateLimiter, request: &mut Request) -> Result<(), ApiError> {
    let path = request.uri().path();
    if path == HEALTH {
        return Ok(());
    }
    if tlog::is_public(path) {
        return rate.take(|| at(request)).map_err(|error| refused(request, None, error));
    }
    let watches = path == READY;
    // Whoever watches the process must hear of it now.
    let patience = if watches { Patience::None } else { Patience::Some };
    let caller = match auth.caller(bearer(request.headers()), patience).await {
        Ok(caller) => caller,
        Err(_) if watches => return Ok(()),
        Err(error) => return Err(refused(request, None, error.into())),
    };
    if !watches {
        rate.take(|| who(auth, &caller, request)).map_err(|error| refused(request, Some(&caller), error))?;
    }
    match caller {
        Caller::Actor(actor) => {
            request.extensions_mut().insert(actor);
            Ok(())
        }
        Caller::Outsider(_) if watches => Ok(()),
        Caller::Outsider(_) => Err(refused(request, Some(&caller), ApiError::Forbidden(NO_RIGHTS))),
    }
}

const NO_RIGHTS: &str = "the token's role has no rights here";

/// Writes down what the access log's line does not have: why, and where from.
fn refused(request: &Request, caller: Option<&Caller>, error: ApiError) -> ApiError {
    let peer = request.extensions().get::<Peer>().map(|Peer(address)| address.to_string());
    let reason = match &error {
        ApiError::Unauthorized(fault) => fault.to_string(),
        other => other.name().1.to_owned(),
    };
    let actor = caller.map(|caller| caller.id().as_str());
    tracing::info!(peer, actor, reason, "a caller was refused");
    error
}

/// As whom the request is counted.
fn who(auth: &Auth, caller: &Caller, request: &Request) -> Who {
    if auth.asks_for_tokens() {
        // A user's name may be that of a service; its role is not.
        let role = match caller {
            Caller::Actor(actor) => Some(actor.role),
            Caller::Outsider(_) => None,
        };
        return Who::Named(role, caller.id().clone());
    }
    at(request)
}

/// Where it comes from.
fn at(request: &Request) -> Who {
    let peer = request.extensions().get::<Peer>();
    peer.map_or(Who::Unknown, |Peer(address)| Who::at(*address))
}

/// The token in the header (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, TokenFault> {
    let value = headers::single(headers, &header::AUTHORIZATION).map_err(|_| TokenFault::NotBearer)?;
    let text = value.ok_or(TokenFault::Missing)?.to_str().map_err(|_| TokenFault::NotBearer)?;
    let (scheme, token) = text.split_once(' ').ok_or(TokenFault::NotBearer)?;
    let token = token.trim_matches(' ');
    let fits = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains([' ', ',']);
    if fits { Ok(token) } else { Err(TokenFault::NotBearer) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(sent: &[&'static str]) -> Result<String, TokenFault> {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn a_token_comes_in_one_header_of_one_form() {
        assert_eq!(read(&[]), Err(TokenFault::Missing));
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(read(&[good]).as_deref(), Ok("a.b.c"), "{good}");
        }
        for wrong in
            ["", "Bearer", "Bearer ", "a.b.c", "Basic YTpi", "Bearer a b", "Bearer a,b", "Bearera.b.c"]
        {
            assert_eq!(read(&[wrong]), Err(TokenFault::NotBearer), "{wrong}");
        }
        assert_eq!(read(&["Bearer a.b.c", "Bearer a.b.c"]), Err(TokenFault::NotBearer));
    }

    proptest! {
        #![proptest_config(crate::http::tests::support::fuzz_cases())]

        /// Whatever is taken for a token stands in the header, as one word behind the scheme.
        #[test]
        fn fuzz_bearers(bytes in prop_oneof![
            "([bB]earer|BEARER|Basic)[ \\t,]{0,2}[a-zA-Z0-9._, =-]{0,20}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..20),
        ]) {
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
            if let Ok(token) = bearer(&headers) {
                let text = String::from_utf8(bytes).unwrap();
                let (scheme, rest) = text.split_at(6);
                prop_assert_eq!(scheme.to_lowercase(), "bearer");
                prop_assert_eq!(rest.trim_matches(' '), token);
                prop_assert!(rest.starts_with(' ') && !token.is_empty() && !token.contains([' ', ',']));
            }
        }
    }
}

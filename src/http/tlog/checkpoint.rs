//! `GET /tlog/checkpoint`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::{TEXT, audit, kept, or_uncached};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::openapi::{AUDIT, Answers, AnyHeaders, cache_control, of_audits, plain};
use crate::http::reading::NoParameters;

/// For a second only: enough for a cache to stand before the ledger, and no more than a client would ask again after.
const A_MOMENT: &str = "public, max-age=1";

/// The newest checkpoint: the tree's size and root, signed.
///
/// A signed note (C2SP tlog-checkpoint); its size is the position of the last event that is sealed. What witnesses sign
/// is added to it as it comes in, so that the newest one may have fewer signatures than one a moment older had.
#[utoipa::path(
    get, path = "/tlog/checkpoint", operation_id = "getCheckpoint", tag = AUDIT,
    params(AnyHeaders), responses(Newest)
)]
pub(in crate::http) async fn checkpoint(State(api): State<Arc<Api>>, _: NoParameters) -> Response {
    or_uncached(newest(&api).await)
}

async fn newest(api: &Api) -> Result<Response, ApiError> {
    let checkpoint = audit(api)?.checkpoint().await?;
    Ok(kept(TEXT, A_MOMENT, checkpoint.note))
}

/// The answers of this call.
struct Newest;

impl IntoResponses for Newest {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::of("The checkpoint", TEXT, plain()).header(cache_control()).errors(of_audits()).build()
    }
}

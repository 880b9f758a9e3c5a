//! `GET /tlog/tile/{level}/{number}` and `GET /tlog/tile/entries/{number}`: both are the same for ever, once they are there.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;
use tower::{ServiceExt, service_fn};
use tower_http::CompressionLevel;
use tower_http::compression::Compression;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::path::{Level, TileName, parse_level};
use super::{BYTES, ENTRIES, TILES, audit, kept, or_uncached};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::openapi::{AUDIT, Answers, AnyHeaders, cache_control, of_audits, plain};
use crate::http::reading::NoParameters;
use crate::tlog::tile::TileKey;

/// By anybody, and as long as it likes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The same, but by nobody who answers others: it is for those with a token.
const FOR_EVER_TO_ONESELF: &str = "private, max-age=31536000, immutable";

const NO_TILE: ApiError =
    ApiError::Absent("no tile is called so: they are, for example, 0/000, 0/000.p/7 and 1/x001/234");

/// Hashes of the tree, 256 levels of which are one tile's.
///
/// A tile of C2SP tlog-tiles: 256 hashes of 32 bytes, or as many as `.p/` says; as far as the newest checkpoint's tree has
/// them. The number is in elements of three digits, all but the last with an `x` before it: `x001/234`. Its slashes are
/// sent as they are.
#[utoipa::path(
    get, path = "/tlog/tile/{level}/{number}", operation_id = "getTile", tag = AUDIT,
    params(
        ("level" = inline(Level), Path, description = "0: the hashes of records; above, those of full tiles below."),
        ("number" = inline(TileName), Path, description = "Which tile, and how many hashes if not all."),
        AnyHeaders
    ),
    responses(Hashes)
)]
pub(in crate::http) async fn tile(State(api): State<Arc<Api>>, uri: Uri, _: NoParameters) -> Response {
    or_uncached(hashes(&api, uri.path()).await)
}

async fn hashes(api: &Api, path: &str) -> Result<Response, ApiError> {
    let audit = audit(api)?;
    let (level, name) = path.strip_prefix(TILES).and_then(|path| path.split_once('/')).ok_or(NO_TILE)?;
    let (level, name) = parse_level(level).zip(TileName::parse(name)).ok_or(NO_TILE)?;
    let hashes = audit.tile(TileKey { level, number: name.number }, name.width).await?;
    Ok(kept(BYTES, FOR_EVER, hashes))
}

/// The records themselves, 256 at a time.
///
/// An entry bundle of C2SP tlog-tiles: each record's bytes behind their length in two bytes, big-endian; the first is the
/// event at position 256 × number + 1. Compressed for a caller that accepts gzip.
#[utoipa::path(
    get, path = "/tlog/tile/entries/{number}", operation_id = "getEntries", tag = AUDIT,
    params(
        ("number" = inline(TileName), Path, description = "Which bundle, and how many records if not all."),
        AnyHeaders
    ),
    responses(Entries)
)]
pub(in crate::http) async fn entries(
    State(api): State<Arc<Api>>,
    _: NoParameters,
    request: Request,
) -> Response {
    let answered = service_fn(|request: Request| {
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(or_uncached(records(&api, request.uri().path()).await)) }
    });
    let compressing = Compression::new(answered).quality(CompressionLevel::Fastest);
    match compressing.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

async fn records(api: &Api, path: &str) -> Result<Response, ApiError> {
    let audit = audit(api)?;
    let name = path.strip_prefix(ENTRIES).and_then(TileName::parse).ok_or(NO_TILE)?;
    let bundle = audit.entries(name.number, name.width).await?;
    Ok(kept(BYTES, FOR_EVER_TO_ONESELF, Bytes::from_owner(bundle)))
}

/// The answers of these calls.
struct Hashes;
struct Entries;

impl IntoResponses for Hashes {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::of("The hashes", BYTES, plain()).header(cache_control()).errors(of_audits()).build()
    }
}

impl IntoResponses for Entries {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::of("The records", BYTES, plain()).header(cache_control()).errors(of_audits()).build()
    }
}

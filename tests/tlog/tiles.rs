//! `/tlog/checkpoint`, `/tlog/tile/…`, `/tlog/tile/entries/…`, `/tlog/consistency`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use vtid_ledger::tlog::checkpoint::Checkpoint;
use vtid_ledger::tlog::tile::goes_on;
use vtid_ledger::tlog::{Hash, leaf};

use super::stage::{Stage, raw, root_of, stage};

fn name(number: usize, width: usize) -> String {
    let name = if number < 1000 {
        format!("{number:03}")
    } else {
        format!("x{:03}/{:03}", number / 1000, number % 1000)
    };
    if width == 256 { name } else { format!("{name}.p/{width}") }
}

/// The hashes of a level, by the definition: each is the root over its leaves.
fn level(leaves: &[Hash], level: u32) -> Vec<Hash> {
    leaves.chunks_exact(256_usize.pow(level)).map(root_of).collect()
}

/// Every tile and every bundle of the tree, and none past them.
async fn check_all(stage: &Stage, records: &[String]) {
    let size = records.len();
    let leaves: Vec<Hash> = records.iter().map(|record| leaf(record)).collect();
    let answer = stage.get_plain("/tlog/checkpoint").await.expect(200);
    let checkpoint = Checkpoint::open(answer.text.as_bytes(), &[stage.key.public().clone()]).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), (size as u64, root_of(&leaves)));
    for (number, chunk) in records.chunks(256).enumerate() {
        let path = format!("/tlog/tile/entries/{}", name(number, chunk.len()));
        let served = stage.bytes_with_token(&path).await;
        let mut expected = Vec::new();
        for record in chunk {
            expected.extend_from_slice(&u16::try_from(record.len()).unwrap().to_be_bytes());
            expected.extend_from_slice(record.as_bytes());
        }
        assert_eq!((served.status, served.bytes == expected), (200, true), "{size}: {path}");
    }
    for at in 0..3 {
        let hashes = level(&leaves, at);
        for (number, chunk) in hashes.chunks(256).enumerate() {
            let path = format!("/tlog/tile/{at}/{}", name(number, chunk.len()));
            let served = stage.bytes(&path).await;
            let expected: Vec<u8> = chunk.iter().flat_map(|hash| hash.0).collect();
            assert_eq!((served.status, served.bytes == expected), (200, true), "{size}: {path}");
        }
        let (last, width) = (hashes.len() / 256, hashes.len() % 256);
        for (number, width) in [(last, width + 1), (last, 256), (last + 1, 1), (last + 1, 256)] {
            let name = name(number, width);
            for path in [format!("/tlog/tile/{at}/{name}"), format!("/tlog/tile/entries/{name}")] {
                if at == 0 || !path.contains("entries") {
                    stage.get(&path).await.expect(404);
                }
            }
        }
    }
}

#[tokio::test]
async fn every_tile_of_trees_of_every_shape() {
    let stage = stage("ledger.example.org/tiles").await;
    // Before the first checkpoint there is nothing, events or not.
    stage.get_plain("/tlog/checkpoint").await.expect(404);
    stage.grow(1).await;
    for path in ["/tlog/checkpoint", "/tlog/tile/0/000.p/1", "/tlog/tile/entries/000.p/1"] {
        let answer = stage.get(path).await.expect(404);
        assert_eq!(
            (&answer.body["code"], &answer.body["detail"]),
            (&"not_found".into(), &"nothing was sealed yet".into())
        );
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let mut sealed = Vec::new();
    for size in [1, 2, 255, 256, 257, 511, 512, 1_300, 2_600] {
        stage.grow(size).await;
        sealed.push(stage.seal().await);
        check_all(&stage, &stage.records().await).await;
    }
    // What is not signed yet is not shown.
    stage.grow(2_601).await;
    stage.get_plain(&format!("/tlog/tile/0/{}", name(10, 41))).await.expect(404);
    stage.get(&format!("/tlog/tile/entries/{}", name(10, 41))).await.expect(404);
    stage.get_plain("/tlog/consistency?from=1&to=2601").await.expect(404);
    // A partial tile of an earlier checkpoint is there still, as is any other.
    let full = stage.bytes("/tlog/tile/0/000").await.bytes;
    for width in [1, 2, 100, 255] {
        let partial = stage.bytes(&format!("/tlog/tile/0/000.p/{width}")).await;
        assert_eq!((partial.status, &partial.bytes[..]), (200, &full[..32 * width]));
    }
    check_consistency(&stage, &sealed).await;
}

async fn check_consistency(stage: &Stage, sealed: &[Checkpoint]) {
    let leaves: Vec<Hash> = stage.records().await.iter().map(|record| leaf(record)).collect();
    let others = [0_usize, 3, 100, 254, 258, 1_024, 2_599];
    let mut sizes: Vec<usize> =
        sealed.iter().map(|c| usize::try_from(c.size).unwrap()).chain(others).collect();
    sizes.sort_unstable();
    for (index, to) in sizes.iter().enumerate() {
        for from in &sizes[..=index] {
            let path = format!("/tlog/consistency?from={from}&to={to}");
            let answer = stage.get_plain(&path).await.expect(200);
            assert_eq!(
                (answer.body["from"].as_u64(), answer.body["to"].as_u64()),
                (Some(*from as u64), Some(*to as u64))
            );
            let hash = |text: &serde_json::Value| {
                Hash(STANDARD.decode(text.as_str().unwrap()).unwrap().try_into().unwrap())
            };
            let proof: Vec<Hash> = answer.body["path"].as_array().unwrap().iter().map(hash).collect();
            let root = |size: usize| (size as u64, root_of(&leaves[..size]));
            assert!(goes_on(&proof, root(*to), root(*from)), "{path}");
        }
    }
    for (query, status) in [
        ("", 400),
        ("?from=1", 400),
        ("?to=1", 400),
        ("?from=2&to=1", 400),
        ("?from=1&to=x", 400),
        ("?from=-1&to=1", 400),
        ("?from=1&to=2&to=2", 400),
        ("?from=1&to=2&x=2", 400),
        ("?from=1&to=9223372036854775807", 404),
        ("?from=1&to=9223372036854775808", 400),
    ] {
        stage.get_plain(&format!("/tlog/consistency{query}")).await.expect(status);
    }
}

#[tokio::test]
async fn each_is_kept_as_long_as_it_is_right() {
    let stage = stage("ledger.example.org/headers").await;
    stage.grow(300).await;
    stage.seal().await;
    let answer = stage.get_plain("/tlog/checkpoint").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "public, max-age=1");
    for path in ["/tlog/tile/0/000", "/tlog/tile/0/000.p/9", "/tlog/tile/0/001.p/44", "/tlog/tile/1/000.p/1"]
    {
        let tile = stage.bytes(path).await;
        assert_eq!(tile.header("content-type"), "application/octet-stream", "{path}");
        assert_eq!(tile.header("cache-control"), "public, max-age=31536000, immutable", "{path}");
        assert_eq!(tile.header("content-length"), tile.bytes.len().to_string(), "{path}");
    }
    // Shared caches must not answer strangers with what takes a token.
    let plain = stage.bytes_with_token("/tlog/tile/entries/000").await;
    assert_eq!(plain.header("content-type"), "application/octet-stream");
    assert_eq!(plain.header("cache-control"), "private, max-age=31536000, immutable");
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
    let request = |accepted: &str| {
        let request = stage.service.request(Method::GET, "/tlog/tile/entries/000").bearer_auth(&stage.token);
        raw(request.header("accept-encoding", accepted))
    };
    for accepted in ["gzip", "gzip, deflate, br", "identity;q=0.5, gzip"] {
        let zipped = request(accepted).await;
        assert_eq!((zipped.status, zipped.header("content-encoding")), (200, "gzip"), "{accepted}");
        assert_eq!(zipped.header("cache-control"), plain.header("cache-control"));
        assert_eq!(zipped.bytes[..2], [0x1f, 0x8b]);
        assert!(zipped.bytes.len() * 2 < plain.bytes.len(), "{} bytes", zipped.bytes.len());
    }
    for accepted in ["identity", "br", "gzip;q=0"] {
        let answer = request(accepted).await;
        assert_eq!(
            (answer.header("content-encoding"), answer.bytes == plain.bytes),
            ("", true),
            "{accepted}"
        );
    }
    let head = raw(stage.service.request(Method::HEAD, "/tlog/tile/0/000")).await;
    assert_eq!((head.status, head.header("content-length"), head.bytes.len()), (200, "8192", 0));
    let posted =
        stage.service.send(stage.service.request(Method::POST, "/tlog/checkpoint")).await.expect(405);
    assert_eq!(posted.header("allow"), "GET,HEAD");
    let gone = stage.get_plain("/tlog/tile/0/002").await.expect(404);
    assert_eq!((gone.header("cache-control"), gone.header("content-type")), ("no-store", "application/json"));
}

#[tokio::test]
async fn every_other_path_names_no_tile() {
    let stage = stage("ledger.example.org/paths").await;
    stage.grow(257).await;
    stage.seal().await;
    for path in [
        "/tlog",
        "/tlog/",
        "/tlog/tile",
        "/tlog/tile/",
        "/tlog/tile/0",
        "/tlog/tile/0/",
        "/tlog/tile/entries",
        "/tlog/tile/entries/",
        "/tlog/tile/0/0",
        "/tlog/tile/0/00",
        "/tlog/tile/0/0000",
        "/tlog/tile/0/x000/000",
        "/tlog/tile/00/000",
        "/tlog/tile/-0/000",
        "/tlog/tile/+0/000",
        "/tlog/tile/64/000",
        "/tlog/tile/256/000",
        "/tlog/tile/data/000",
        "/tlog/tile/8/0/000",
        "/tlog/tile/0/000.p",
        "/tlog/tile/0/000.p/",
        "/tlog/tile/0/000.p/0",
        "/tlog/tile/0/000.p/01",
        "/tlog/tile/0/000.p/256",
        "/tlog/tile/0/000.p/257",
        "/tlog/tile/0/000.p/1/",
        "/tlog/tile/0/000/",
        "/tlog/tile/0//000",
        "/tlog/tile/0/001.p/2",
        "/tlog/tile/0/000%2Ep/1",
        "/tlog/tile/0/%30%30%30",
        "/tlog/tile/%30/000",
        "/tlog/tile/entries/000.p/0",
        "/tlog/tile/entries/0",
        "/tlog/tile/entries/x000/000",
        "/tlog/tile/%65ntries/000",
        "/tlog/tile/Entries/000",
        "/tlog/tile/1/000.p/2",
        "/tlog/tile/2/000.p/1",
        "/tlog/tile/63/000.p/1",
        "/tlog/tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "/tlog/checkpoint/",
        "/tlog/Checkpoint",
        "/tlog/tile/0/x018/x446/x744/x073/x709/x551/615",
    ] {
        let answer = stage.get(path).await.expect(404);
        assert_eq!(
            (&answer.body["error"], &answer.body["code"]),
            (&"Not found".into(), &"not_found".into()),
            "{path}"
        );
        assert!(answer.body["detail"].is_string(), "{path}");
    }
    for path in ["/tlog/checkpoint?x=1", "/tlog/tile/0/000?x=1", "/tlog/tile/entries/000?x=1"] {
        stage.get(path).await.expect(400);
    }
    stage.get_plain("/tlog/tile/0/001.p/1").await.expect(200);
}

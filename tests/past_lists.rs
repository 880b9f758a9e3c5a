//! Lists as they were, page by page: while others write, and where few of many rows match.

use serde_json::Value;

use crate::support::eventually;
use crate::support::past::{append_many, bodies, create_many, folds, page_of, parsed, row, walk};
use crate::support::service::{platform, some_task};

#[tokio::test]
async fn a_walk_stays_where_it_began_while_others_write() {
    let platform = platform().await;
    let service = platform.serve().await;
    create_many(&service, 300).await;
    let now = service.get("/vtid/list?limit=1").await.expect(200).body["data"][0]["created_at"].clone();
    let at = now.as_str().unwrap();
    let log = parsed(&bodies(&mut platform.connection().await).await);
    // As much as was recorded in the last one's millisecond.
    let tasks = folds(&log).pop().unwrap();
    let expected: Vec<String> = tasks.values().rev().map(row).collect();
    for moment in [format!("at={at}"), "position=300".to_owned()] {
        for filter in ["", "&status=pending", "&tenant=system&status=pending"] {
            let path = format!("/vtid/list?{moment}{filter}&limit=23");
            let writes = async {
                for task in tasks.values().step_by(10) {
                    let body = r#"{"status":"active","assignedTo":"somebody"}"#;
                    service.patch(&task.vtid.to_string(), body).await.expect(200);
                    service.create(some_task("later")).await.expect(200);
                }
            };
            let (pages, ()) = tokio::join!(walk(&service, &path), writes);
            assert!(pages.iter().all(|page| page.position() == 300), "{path}");
            let shown: Vec<String> = pages.iter().flat_map(page_of).collect();
            assert!(shown == expected, "{path}: {} rows", shown.len());
        }
    }
    // Nothing was active then.
    let pages = walk(&service, "/vtid/list?position=300&status=active&limit=1000").await;
    assert_eq!(pages.iter().flat_map(page_of).count(), 0);
}

/// A page looks at so many rows at most: it ends early, with a cursor, and the next one goes on from there.
#[tokio::test]
async fn a_page_ends_once_it_has_cost_enough() {
    let platform = platform().await;
    let service = platform.serve().await;
    let tasks: i64 = 12_000;
    let first = service.create(some_task("the oldest")).await.expect(200);
    append_many(&mut platform.connection().await, tasks - 1).await;
    let last = service.patch(first.vtid(), r#"{"status":"active"}"#).await.expect(200).position();
    assert_eq!(i64::try_from(last).unwrap(), tasks + 1);
    eventually("the projection", async || {
        let shown = service.get("/vtid/list?limit=1").await;
        (shown.status == 200 && shown.position() == last).then_some(())
    })
    .await;
    let then = format!("/vtid/list?position={last}&limit=1000");
    // The one that matches is the last one that is looked at.
    let pages = walk(&service, &format!("{then}&status=active")).await;
    let rows: Vec<Value> =
        pages.iter().flat_map(page_of).map(|row| serde_json::from_str(&row).unwrap()).collect();
    assert_eq!((rows.len(), &rows[0]["vtid"]), (1, &first.body["vtid"]));
    let counts: Vec<u64> = pages.iter().map(|page| page.body["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [0, 0, 1], "5,000 rows and some each");
    assert!(pages.iter().all(|page| page.position() == last));
    // Before it was changed: nothing matches, and each row is shown once.
    let before = format!("/vtid/list?position={tasks}&limit=1000");
    let none = walk(&service, &format!("{before}&status=active")).await;
    assert_eq!((none.len(), none.iter().flat_map(page_of).count()), (3, 0));
    for filter in ["", "&status=pending"] {
        let all: Vec<String> =
            walk(&service, &format!("{before}{filter}")).await.iter().flat_map(page_of).collect();
        let numbers: Vec<String> = all
            .iter()
            .map(|row| serde_json::from_str::<Value>(row).unwrap()["vtid"].as_str().unwrap().to_owned())
            .collect();
        let year = &first.vtid()[..10];
        let expected: Vec<String> = (1..=tasks).rev().map(|number| format!("{year}{number:04}")).collect();
        assert!(numbers == expected, "{filter}: {}", numbers.len());
    }
}

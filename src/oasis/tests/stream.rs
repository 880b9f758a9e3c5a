use super::*;

fn args() -> StreamArgs {
    StreamArgs { name: DEFAULT_NAME.parse().unwrap(), replicas: 1 }
}

/// As a server of version 2.9 tells it, and as a current one does.
const OLD: &str = r#"{"name":"OASIS_VTID_LEDGER","subjects":["oasis.*.vtid-ledger.*"],"retention":"limits",
    "max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"max_msgs_per_subject":-1,"max_msg_size":-1,
    "discard":"new","storage":"file","num_replicas":1,"duplicate_window":100000000,"allow_direct":false,
    "mirror_direct":false,"sealed":false,"deny_delete":true,"deny_purge":true,"allow_rollup_hdrs":false}"#;
const NEW: &str = r#"{"name":"OASIS_VTID_LEDGER","subjects":["oasis.*.vtid-ledger.*"],"retention":"limits",
    "max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"max_msgs_per_subject":-1,"max_msg_size":-1,
    "discard":"new","storage":"file","num_replicas":1,"duplicate_window":100000000,"compression":"none",
    "allow_direct":true,"mirror_direct":false,"sealed":false,"deny_delete":true,"deny_purge":true,
    "allow_rollup_hdrs":false,"consumer_limits":{},"allow_msg_ttl":false,"metadata":{"_nats.ver":"2.15.1"}}"#;

fn differences_of(config: &str) -> Vec<String> {
    differences(&serde_json::from_str(config).unwrap(), &wanted(&args()))
}

#[test]
fn what_other_versions_add_is_no_difference() {
    assert_eq!(differences_of(OLD), Vec::<String>::new());
    assert_eq!(differences_of(NEW), Vec::<String>::new());
}

#[test]
fn every_setting_that_matters_is_compared() {
    let rows = [
        (r#""max_age":0"#, r#""max_age":1000"#, "max_age is 1000, must be 0"),
        (r#""deny_purge":true"#, r#""deny_purge":false"#, "deny_purge is false, must be true"),
        (r#""storage":"file""#, r#""storage":"memory""#, r#"storage is "memory", must be "file""#),
        (r#""num_replicas":1"#, r#""num_replicas":3"#, "num_replicas is 3, must be 1"),
        (r#""max_msgs":-1"#, r#""max_msgs":7"#, "max_msgs is 7, must be -1"),
        (r#""sealed":false"#, r#""sealed":true"#, "sealed is true"),
        (r#""sealed":false"#, r#""mirror":{"name":"x"}"#, r#"mirror is {"name":"x"}"#),
        (r#""sealed":false"#, r#""persist_mode":"async""#, r#"persist_mode is "async""#),
    ];
    for (from, to, told) in rows {
        assert_eq!(differences_of(&NEW.replace(from, to)), [told], "{to}");
    }
}

#[test]
fn a_stream_that_lost_its_beginning_is_another_one() {
    let info = |first_seq, last_seq| Info {
        config: serde_json::from_str(NEW).unwrap(),
        state: InfoState { first_seq, last_seq },
    };
    assert_eq!(end_of(&args(), &info(1, 9)), Ok(Position::new(9)));
    assert_eq!(end_of(&args(), &info(0, 0)), Ok(Position::ZERO));
    assert!(matches!(end_of(&args(), &info(4, 9)), Err(StreamError::Differs { .. })));
}

#[test]
fn names() {
    for good in ["OASIS_VTID_LEDGER", "a-1"] {
        assert_eq!(good.parse::<StreamName>().unwrap().to_string(), good);
    }
    for wrong in ["", "a.b", "a*", "a b", "ä", &"x".repeat(101)] {
        assert_eq!(wrong.parse::<StreamName>(), Err(MalformedStreamName), "{wrong:?}");
    }
}

use super::{log_key, witness_key};
use crate::witness::settings::{MalformedWitness, WitnessAddress, parse_list};

#[test]
fn a_witness_is_an_address_and_a_key() {
    let key = witness_key().public().clone();
    for (prefix, url) in [
        ("https://witness.example.org", "https://witness.example.org/add-checkpoint"),
        ("https://witness.example.org/", "https://witness.example.org/add-checkpoint"),
        ("http://127.0.0.1:8090/a=b/c", "http://127.0.0.1:8090/a=b/c/add-checkpoint"),
        ("https://user:pass@w.example/x", "https://user:pass@w.example/x/add-checkpoint"),
    ] {
        let address = WitnessAddress::parse(&format!("{prefix}={key}"), 1).unwrap();
        assert_eq!((address.url.as_str(), &address.key), (url, &key));
        assert!(!format!("{address:?}").contains("pass"));
    }
    let two = format!(" http://a={key} ,, http://b={key},");
    assert_eq!(parse_list(&two).unwrap().len(), 2);
    assert_eq!(parse_list(" , ").unwrap(), []);
}

#[test]
fn without_tls_only_this_machine_is_safe() {
    let key = witness_key().public().clone();
    for (prefix, open) in [
        ("https://witness.example.org", false),
        ("http://127.0.0.1:8090", false),
        ("http://127.1.2.3", false),
        ("http://[::1]:8090", false),
        ("http://localhost:8090", false),
        ("http://LocalHost/w", false),
        ("http://witness.example.org:8090", true),
        ("http://localhost.example.org", true),
        ("http://10.0.0.1", true),
        ("http://[2001:db8::1]", true),
    ] {
        let address = WitnessAddress::parse(&format!("{prefix}={key}"), 1).unwrap();
        assert_eq!(address.is_in_the_open(), open, "{prefix}");
    }
}

#[test]
fn what_is_none_is_told() {
    let (key, log) = (witness_key().public().clone(), log_key("log").public().clone());
    let form = |text: String| {
        assert_eq!(parse_list(&text), Err(MalformedWitness::Form(1)));
        let second = parse_list(&format!("https://w={key},{text}")).unwrap_err();
        assert_eq!(second, MalformedWitness::Form(2));
        assert!(!second.to_string().contains(&text), "it may hold a password: {second}");
    };
    form("https://w.example".to_owned());
    form(key.to_string());
    form(format!("https://witness.example.org {key}"));
    form(format!("https://witness.example.org={key}x"));
    form(format!("witness.example.org={key}"));
    form(format!("ftp://witness.example.org={key}"));
    form(format!("https://witness.example.org?x=1={key}"));
    let many = vec![format!("https://w={key}"); 17];
    assert_eq!(parse_list(&many[..16].join(",")).unwrap().len(), 16);
    assert_eq!(parse_list(&many.join(",")), Err(MalformedWitness::TooMany));
    assert_eq!(parse_list(&format!("http://w={log}")), Err(MalformedWitness::Kind(log.name().clone())));
}

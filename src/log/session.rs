//! A connection's settings, told once more when it is there: a pooler in session mode, told to let the driver's parameter
//! `options` pass (`PgBouncer`'s `ignore_startup_parameters`), drops what is in it.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

/// Names and values.
pub(super) type Settings = BTreeMap<String, String>;

/// Those among the connection's parameters; the last one of a name counts.
pub(super) fn settings(options: &PgConnectOptions) -> Settings {
    parse(options.get_options().unwrap_or_default())
}

/// Of `-c name=value -c name=value`, in which a backslash keeps what follows.
fn parse(text: &str) -> Settings {
    let mut settings = Settings::new();
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" { words.next() } else { None };
        if let Some((name, value)) = setting.as_deref().and_then(|setting| setting.split_once('=')) {
            settings.insert(name.to_owned(), value.to_owned());
        }
    }
    settings
}

fn words(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            ' ' => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// In one statement.
pub(super) async fn tell(connection: &mut PgConnection, settings: &Settings) -> Result<(), sqlx::Error> {
    if settings.is_empty() {
        return Ok(());
    }
    let (names, values): (Vec<&str>, Vec<&str>) =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).unzip();
    sqlx::query(
        "select set_config(setting.name, setting.value, false)
         from unnest($1::text[], $2::text[]) as setting (name, value)",
    )
    .bind(names)
    .bind(values)
    .persistent(false)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_writes_is_read_back() {
        let options = PgConnectOptions::new_without_pgpass()
            .options([("default_transaction_isolation", "read committed"), ("lock_timeout", "0")])
            .options([("a.b", r"c\ d=e"), ("lock_timeout", "1s")]);
        let expected =
            [("default_transaction_isolation", "read committed"), ("a.b", r"c\ d=e"), ("lock_timeout", "1s")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings(&options), Settings::from(expected));
    }
}

//! An object: its keys in the order given, none of them twice.

use super::Json;
use std::collections::BTreeSet;

/// A JSON object that keeps its keys in the order given and holds none twice.
///
/// Look-ups go through the entries one by one: meant for bodies of some dozen keys. Equality counts the order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Object(Vec<(String, Json)>);

/// The object has this key already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key {0:?} is given more than once")]
pub struct DuplicateKey(pub String);

impl Object {
    /// An object of these entries, in this order.
    ///
    /// # Errors
    /// [`DuplicateKey`], naming the first key that came before.
    pub fn from_entries(entries: Vec<(String, Json)>) -> Result<Self, DuplicateKey> {
        match first_repeated(&entries) {
            Some(key) => Err(DuplicateKey(key.to_owned())),
            None => Ok(Self(entries)),
        }
    }

    /// As [`Object::from_entries`], for entries whose keys the caller has already found to be distinct.
    pub(super) fn from_distinct(entries: Vec<(String, Json)>) -> Self {
        debug_assert_eq!(first_repeated(&entries), None);
        Self(entries)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Takes the value of a key out, and leaves null in its place.
    pub fn take(&mut self, key: &str) -> Option<Json> {
        let entry = self.0.iter_mut().find(|(known, _)| known == key)?;
        Some(std::mem::replace(&mut entry.1, Json::Null))
    }

    /// Adds a key at the end.
    ///
    /// # Errors
    /// [`DuplicateKey`] if the key is there already; the object stays as it was.
    pub fn insert(&mut self, key: String, value: Json) -> Result<(), DuplicateKey> {
        if self.get(&key).is_some() {
            return Err(DuplicateKey(key));
        }
        self.0.push((key, value));
        Ok(())
    }

    /// The entries, in order.
    pub fn iter(&self) -> Iter<'_> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn first_repeated(entries: &[(String, Json)]) -> Option<&str> {
    let mut seen = BTreeSet::new();
    entries.iter().map(|(key, _)| key.as_str()).find(|key| !seen.insert(*key))
}

/// An object's entries, by reference.
pub type Iter<'a> =
    std::iter::Map<std::slice::Iter<'a, (String, Json)>, fn(&'a (String, Json)) -> (&'a str, &'a Json)>;

impl IntoIterator for Object {
    type Item = (String, Json);
    type IntoIter = std::vec::IntoIter<(String, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Object {
    type Item = (&'a str, &'a Json);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

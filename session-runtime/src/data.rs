//! The dictionary of a session: a small sorted map from strings to JSON values.

use std::fmt;
use std::io;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

/// The largest depth of nested values. serde_json can read back 127 levels, and the dictionary itself is one of them:
/// <https://docs.rs/serde_json/latest/serde_json/de/struct.Deserializer.html>
pub(crate) const MAX_DEPTH: usize = 126;

/// The keys and values of a session, in the order of the keys.
///
/// It is a sorted vector, because sessions are small: two keys take about 150 bytes, and a lookup takes a few
/// comparisons. A B-tree takes 632 bytes for its first key.
///
/// Reading a missing key with `data["key"]` gives [`Value::Null`]. Writing to a missing key creates it.
#[derive(Clone, Default, PartialEq)]
pub struct Data {
    /// Keys are shared, so that a copy of the dictionary does not allocate each key again.
    entries: Vec<(Arc<str>, Value)>,
}

static NULL: Value = Value::Null;

impl Data {
    fn find(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(name, _)| (**name).cmp(key))
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.find(key).ok().map(|place| &self.entries[place].1)
    }

    /// The value of `key`, for changes.
    #[must_use]
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.find(key).ok().map(|place| &mut self.entries[place].1)
    }

    /// Sets `key`, and returns its old value.
    pub fn insert(&mut self, key: impl AsRef<str>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.as_ref(), value.into());
        match self.find(key) {
            Ok(place) => Some(std::mem::replace(&mut self.entries[place].1, value)),
            Err(place) => {
                self.entries.insert(place, (key.into(), value));
                None
            }
        }
    }

    fn put(&mut self, key: Arc<str>, value: Value) {
        // Stored keys are already in order. Appending needs no search and moves no other entry.
        if self.entries.last().is_none_or(|(last, _)| *last < key) {
            self.entries.push((key, value));
        } else {
            self.insert(key, value);
        }
    }

    /// Removes `key`, and returns its old value.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.find(key)
            .ok()
            .map(|place| self.entries.remove(place).1)
    }

    /// True if there is a value under `key`.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the keys and their values, in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (&**key, value))
    }

    /// Removes every key.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// Keeps only the entries for which `keep` returns true.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &Value) -> bool) {
        self.entries.retain(|(key, value)| keep(key, value));
    }

    /// The value of `key`, and the shared key itself, so that it can be stored elsewhere without a new allocation.
    pub(crate) fn get_key_value(&self, key: &str) -> Option<(&Arc<str>, &Value)> {
        let (key, value) = &self.entries[self.find(key).ok()?];
        Some((key, value))
    }

    /// An upper bound for the size of the dictionary as JSON, in bytes. It is computed without writing the JSON.
    pub(crate) fn size_bound(&self) -> usize {
        let pair = |(key, value): (&str, &Value)| text_bound(key) + 2 + size_bound(value);
        2 + self.iter().map(pair).sum::<usize>()
    }

    /// The size of the dictionary as JSON, in bytes.
    pub(crate) fn size(&self) -> usize {
        struct Count(usize);
        impl io::Write for Count {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += bytes.len();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut count = Count(0);
        // This cannot fail: a `Value` has only string keys and finite numbers, and the sink accepts all bytes.
        let _ = serde_json::to_writer(&mut count, self);
        count.0
    }

    /// True if no value is nested deeper than can be read back.
    pub(crate) fn is_shallow(&self) -> bool {
        self.entries
            .iter()
            .all(|(_, value)| is_shallow(value, MAX_DEPTH))
    }
}

/// An upper bound for the size of a text as JSON, in bytes. An escaped byte takes six bytes at most, as in `\u0000`.
fn text_bound(text: &str) -> usize {
    let is_escaped = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    let escaped = text
        .as_bytes()
        .iter()
        .filter(|byte| is_escaped(byte))
        .count();
    2 + text.len() + 5 * escaped
}

fn size_bound(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(number) if number.is_i64() || number.is_u64() => 20,
        // Another crate may have enabled serde_json's feature for numbers of any length.
        Value::Number(number) => number.to_string().len(),
        Value::String(text) => text_bound(text),
        Value::Array(items) => 2 + items.iter().map(|item| 1 + size_bound(item)).sum::<usize>(),
        Value::Object(fields) => {
            let pair = |(key, value): (&String, &Value)| text_bound(key) + 2 + size_bound(value);
            2 + fields.iter().map(pair).sum::<usize>()
        }
    }
}

fn is_shallow(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_shallow(item, levels - 1)),
        Value::Object(fields) => {
            levels > 0 && fields.values().all(|field| is_shallow(field, levels - 1))
        }
        _ => true,
    }
}

impl Index<&str> for Data {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&NULL)
    }
}

impl IndexMut<&str> for Data {
    fn index_mut(&mut self, key: &str) -> &mut Value {
        let place = self.find(key).unwrap_or_else(|place| {
            self.entries.insert(place, (key.into(), Value::Null));
            place
        });
        &mut self.entries[place].1
    }
}

impl<K: AsRef<str>> FromIterator<(K, Value)> for Data {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(pairs: I) -> Self {
        let mut data = Self::default();
        data.extend(pairs);
        data
    }
}

impl<K: AsRef<str>> Extend<(K, Value)> for Data {
    fn extend<I: IntoIterator<Item = (K, Value)>>(&mut self, pairs: I) {
        for (key, value) in pairs {
            self.put(key.as_ref().into(), value);
        }
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Data;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from strings to values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
                let mut data = Data::default();
                while let Some((Name(key), value)) = map.next_entry()? {
                    data.put(key, value);
                }
                Ok(data)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// A key in the form in which it is stored. Serde's implementation for `Arc<str>` would first allocate a `String`.
struct Name(Arc<str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Name, E> {
                Ok(Name(text.into()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Shows only the keys: values must not appear in a log.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|(key, _)| key))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_dictionary_is_larger_than_the_bound_of_its_size() {
        let ascii: String = (0..128).map(char::from).collect();
        let all = json!([
            null, true, false, "", ascii, "\u{1}", "\u{2028}\u{10ffff}é", "\"\\/",
            0, -1, i64::MIN, u64::MAX, 0.1, -0.0, f64::MIN, f64::MAX, f64::MIN_POSITIVE, 5e-324,
            -1.234_567_890_123_456_7e-308, [i64::MIN, i64::MIN, i64::MIN], [], {}, [[], {}], {"": {}}, {"\u{1}": ["\u{2}", 1.5]}
        ]);
        // 100 times the same character: if its bound is too small, no slack elsewhere can hide that.
        let each: Vec<Value> = ('\0'..='\u{ff}')
            .map(|c| String::from_iter([c; 100]).into())
            .collect();
        for value in all
            .as_array()
            .into_iter()
            .flatten()
            .chain([&all])
            .chain(&each)
        {
            for key in ["", "k", "\u{1}"] {
                let data: Data = [(key, value.clone())].into_iter().collect();
                let (bound, size) = (data.size_bound(), data.size());
                assert!(bound >= size, "{size} bytes, at most {bound}: {value}");
            }
        }
        let empty = Data::default();
        assert!(empty.size_bound() >= empty.size());
    }
}

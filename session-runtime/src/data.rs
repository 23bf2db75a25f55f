//! The dictionary of a session: a small sorted map from strings to JSON values.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::{Number, Value};

/// The largest depth of nested values. serde_json can read back 127 levels, and the dictionary itself is one of them:
/// <https://docs.rs/serde_json/latest/serde_json/de/struct.Deserializer.html>
pub(crate) const MAX_DEPTH: usize = 126;

/// The keys and values of a session, in the order of the keys.
///
/// It is a sorted vector, because sessions are small: two keys take about 150 bytes, and a lookup takes a few
/// comparisons. A B-tree takes 632 bytes for its first key.
///
/// Null is no value: reading a missing key with `data["key"]` gives [`Value::Null`], and setting a key to Null removes
/// it. Writing any other value to a missing key creates it.
#[derive(Clone, Default)]
pub struct Data {
    /// Keys are shared, so that a copy of the dictionary does not allocate each key again.
    ///
    /// A value that was lent for changes may be Null. Its key then counts as missing, and [`measure`](Self::measure)
    /// drops it.
    entries: Vec<(Arc<str>, Value)>,
    /// The size of all entries as JSON, each with a comma, or [`UNKNOWN`].
    size: usize,
}

/// The size of a dictionary after a value was lent for changes.
const UNKNOWN: usize = usize::MAX;

static NULL: Value = Value::Null;

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Data {
    fn find(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(name, _)| (**name).cmp(key))
    }

    /// The value of `key`, which is never Null.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        Some(self.get_key_value(key)?.1)
    }

    /// The value of `key`, for changes. Setting it to Null removes the key.
    #[must_use]
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let place = self.find(key).ok()?;
        Some(self.lend(place)).filter(|value| !value.is_null())
    }

    fn lend(&mut self, place: usize) -> &mut Value {
        self.size = UNKNOWN;
        &mut self.entries[place].1
    }

    /// Sets `key`, and returns its old value. Null removes it.
    pub fn insert(&mut self, key: impl AsRef<str>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.as_ref(), value.into());
        if value.is_null() {
            return self.remove(key);
        }
        match self.find(key) {
            Ok(place) => {
                let old = std::mem::replace(&mut self.entries[place].1, value);
                let new = &self.entries[place].1;
                if self.is_measured() {
                    self.size = self.size.saturating_sub(value_size(&old)) + value_size(new);
                }
                Some(old).filter(|old| !old.is_null())
            }
            Err(place) => {
                self.add(place, key.into(), value);
                None
            }
        }
    }

    fn add(&mut self, place: usize, key: Arc<str>, value: Value) {
        if self.is_measured() {
            self.size += entry_size(&key, &value);
        }
        self.entries.insert(place, (key, value));
    }

    /// Removes `key`, and returns its old value.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let (key, value) = self.entries.remove(self.find(key).ok()?);
        if self.is_measured() {
            self.size = self.size.saturating_sub(entry_size(&key, &value));
        }
        Some(value).filter(|value| !value.is_null())
    }

    /// True if there is a value under `key`.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.is_measured() {
            return self.entries.len();
        }
        self.iter().count()
    }

    /// True if there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Returns the keys and their values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        let entries = self.entries.iter().filter(|(_, value)| !value.is_null());
        entries.map(|(key, value)| (&**key, value))
    }

    /// Removes every key.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// Drops the keys that were left Null, and measures the size if it is not known. Later changes keep it.
    pub(crate) fn measure(&mut self) {
        if !self.is_measured() {
            self.entries.retain(|(_, value)| !value.is_null());
            self.size = self.entries_size();
        }
    }

    /// True if [`size`](Self::size) need not look at the values.
    pub(crate) fn is_measured(&self) -> bool {
        self.size != UNKNOWN
    }

    /// The value of `key`, and the shared key itself, so that it can be stored elsewhere without a new allocation.
    pub(crate) fn get_key_value(&self, key: &str) -> Option<(&Arc<str>, &Value)> {
        let (key, value) = &self.entries[self.find(key).ok()?];
        (!value.is_null()).then_some((key, value))
    }

    /// The size of the dictionary as JSON, in bytes.
    pub(crate) fn size(&self) -> usize {
        2 + self.entries_size() - usize::from(!self.is_empty())
    }

    fn entries_size(&self) -> usize {
        if self.is_measured() {
            return self.size;
        }
        self.iter().map(|(key, value)| entry_size(key, value)).sum()
    }

    /// Takes over the size of the JSON that the dictionary was read from: [`size`](Self::size) then need not measure it.
    pub(crate) fn was_read_from(&mut self, json: &[u8]) {
        if !self.is_measured() {
            self.size = json.len() - 2 + usize::from(!self.is_empty());
        }
    }

    /// True if no value is nested deeper than can be read back.
    pub(crate) fn is_shallow(&self) -> bool {
        self.entries
            .iter()
            .all(|(_, value)| is_shallow(value, MAX_DEPTH))
    }
}

/// The size of an entry as JSON, with its comma.
pub(crate) fn entry_size(key: &str, value: &Value) -> usize {
    text_size(key) + 1 + value_size(value) + 1
}

/// An upper bound for [`entry_size`] that is found at once, unless the value has parts.
pub(crate) fn entry_bound(key: &str, value: &Value) -> usize {
    // A control character takes six bytes.
    let text = |text: &str| 2 + 6 * text.len();
    let value = match value {
        Value::Null | Value::Bool(_) => 5,
        // The longest integer takes twenty bytes.
        Value::Number(number) if number.is_i64() || number.is_u64() => 20,
        Value::String(value) => text(value),
        other => value_size(other),
    };
    text(key) + 2 + value
}

/// The size of a value as JSON. It is exact, and takes a fraction of the time that writing the JSON takes.
fn value_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number_size(number),
        Value::String(text) => text_size(text),
        Value::Array(items) => {
            let commas = items.len().saturating_sub(1);
            2 + commas + items.iter().map(value_size).sum::<usize>()
        }
        Value::Object(fields) => {
            let entries = fields.iter().map(|(key, value)| entry_size(key, value));
            2 + entries.sum::<usize>() - usize::from(!fields.is_empty())
        }
    }
}

fn number_size(number: &Number) -> usize {
    let digits = |number: u64| 1 + number.checked_ilog10().unwrap_or(0) as usize;
    match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => digits(number),
        (None, Some(number)) => 1 + digits(number.unsigned_abs()),
        (None, None) => written_size(number),
    }
}

/// The size of a number that has to be written to be measured.
fn written_size(number: &Number) -> usize {
    use fmt::Write;

    struct Count(usize);
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    // This cannot fail: the counter accepts all text.
    let _ = write!(count, "{number}");
    count.0
}

/// The size of a text as JSON. Quotes, backslashes and the usual control characters are written as two bytes, as in
/// `\n`, all other control characters as six, as in `\u0000`.
pub(crate) fn text_size(text: &str) -> usize {
    // Sums without branches, so that the compiler can add up many bytes at once.
    let added = |byte: u8| {
        let is_short = (0x08..=0x0d).contains(&byte) & (byte != 0x0b);
        let is_quoted = (byte == b'"') | (byte == b'\\');
        5 * usize::from(byte < b' ') + usize::from(is_quoted) - 4 * usize::from(is_short)
    };
    2 + text.len() + text.bytes().map(added).sum::<usize>()
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
        self.lend(place)
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
            self.insert(key, value);
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
                let mut data = Data {
                    entries: Vec::new(),
                    size: UNKNOWN, // measured only if somebody asks
                };
                let mut has_null = false;
                while let Some((Name(key), value)) = map.next_entry::<_, Value>()? {
                    has_null |= value.is_null();
                    // Stored keys are already in order. Appending needs no search and moves no other entry.
                    if data.entries.last().is_none_or(|(last, _)| *last < key) {
                        data.entries.push((key, value));
                    } else {
                        data.insert(key, value);
                    }
                }
                if has_null {
                    data.measure(); // the JSON is longer than that of the dictionary
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

    fn is_exact(data: &Data) {
        let json = serde_json::to_string(data).expect("JSON");
        assert_eq!(data.size(), json.len(), "{json}");
    }

    #[test]
    fn a_size_is_that_of_the_json() {
        let all = json!([
            null, true, false, "", "\u{2028}\u{10ffff}é", "\"\\/",
            0, 9, 10, 99, 100, -1, -10, i64::MIN, i64::MAX, u64::MAX, 0.1, -0.0, 1.0, f64::MIN, f64::MAX,
            f64::MIN_POSITIVE, 5e-324, 1e16, 1e-7, -1.234_567_890_123_456_7e-308, [i64::MIN, 1], [], [[], {}], {},
            {"": {}}, {"\u{1}": ["\u{2}", 1.5], "b\n": null}
        ]);
        // 100 times the same character: an error in the size of one is a hundred times as large.
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
            for key in ["", "k", "\u{1}\""] {
                is_exact(&[(key, value.clone())].into_iter().collect());
                is_exact(
                    &[(key, value.clone()), ("z", json!(1))]
                        .into_iter()
                        .collect(),
                );
                assert!(entry_bound(key, value) >= entry_size(key, value), "{value}");
            }
        }
        is_exact(&Data::default());
    }

    #[test]
    fn a_size_is_right_after_every_change() {
        let mut data = Data::default();
        let acts: [fn(&mut Data); 12] = [
            |data| drop(data.insert("a", 1)),
            |data| drop(data.insert("a", "longer")),
            |data| drop(data.insert("b", json!({"c": [1, 2]}))),
            |data| drop(data.remove("a")),
            |data| drop(data.remove("missing")),
            |data| data["n"] = json!("by index"),
            |data| drop(data.insert("after", 2.5)),
            |data| data.get_mut("b").expect("b")["c"] = json!("by reference"),
            Data::measure,
            |data| data.extend([("y", json!(1)), ("x", json!(2)), ("y", json!(33))]),
            |data| data["x"] = Value::Null,
            |data| drop(data.remove("y")),
        ];
        for act in acts {
            act(&mut data);
            is_exact(&data);
        }
        let json = serde_json::to_vec(&data).expect("JSON");
        let mut read: Data = serde_json::from_slice(&json).expect("a dictionary");
        is_exact(&read);
        read.was_read_from(&json);
        is_exact(&read);
        assert!(read == data);
        read.remove("after");
        is_exact(&read);
        read.clear();
        is_exact(&read);
        let mut empty: Data = serde_json::from_str("{}").expect("a dictionary");
        empty.was_read_from(b"{}");
        is_exact(&empty);
    }

    /// Null is no value, however a key came to it.
    #[test]
    fn a_key_that_is_null_is_no_key() {
        let nulled: [fn(&mut Data); 6] = [
            |data| drop(data.remove("b")),
            |data| drop(data.insert("b", Value::Null)),
            |data| data["b"] = Value::Null,
            |data| drop(data.get_mut("b").expect("b").take()),
            |data| data.extend([("b", Value::Null), ("never", Value::Null)]),
            |data| {
                data.remove("b");
                let _ = &mut data["b"];
            },
        ];
        let whole: Data = [("a", json!(1)), ("b", json!(2))].into_iter().collect();
        let rest: Data = [("a", json!(1))].into_iter().collect();
        for null in nulled {
            let mut data = whole.clone();
            null(&mut data);
            for measured in [false, true] {
                if measured {
                    data.measure();
                }
                assert!(data == rest && data != whole, "{data:?}");
                assert_eq!(
                    (data.len(), data.contains_key("b"), data.get("b")),
                    (1, false, None)
                );
                assert_eq!(data["b"], Value::Null);
                assert_eq!(serde_json::to_string(&data).expect("JSON"), r#"{"a":1}"#);
                is_exact(&data);
            }
            assert!(data.get_mut("b").is_none() && data.remove("b").is_none());
        }
        let mut alone: Data = [("b", json!(2))].into_iter().collect();
        alone["b"].take();
        assert!(alone.is_empty());
        assert_eq!(alone.insert("b", 3), None, "there was none");
        for json in [
            r#"{"a":1,"b":null}"#,
            r#"{"b":null,"a":1}"#,
            r#"{"a":1,"b":2,"b":null}"#,
        ] {
            let mut read: Data = serde_json::from_str(json).expect("a dictionary");
            read.was_read_from(json.as_bytes());
            assert!(read == rest, "{json}");
            is_exact(&read);
        }
    }
}

//! What a handler may do to the dictionary, and the same done to a plain map.

use bsession::Session;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

pub type Key = &'static str;
pub type Dictionary = Map<String, Value>;

#[derive(Clone, Debug)]
pub enum Act {
    Index(Key, Value),
    Nested(Key, Key, Value),
    /// Asks for the value to change it, and does not.
    Look(Key),
    Insert(Key, Value),
    InsertNoJson(Key),
    Update(Key, Fun),
    Remove(Key),
    Take(Key),
    DataInsert(Key, Value),
    DataIndex(Key, Value),
    DataRemove(Key),
    DataClear,
}

/// What an update does: of numbers, so that another order of two of them shows.
#[derive(Clone, Copy, Debug)]
pub enum Fun {
    Add(i64),
    Double,
    Put(i64),
    /// Leaves no number.
    Drop,
}

impl Fun {
    pub fn of(self, number: Option<i64>) -> Option<i64> {
        match self {
            Self::Add(more) => Some(number.unwrap_or(0).wrapping_add(more)),
            Self::Double => number.map(|number| number.wrapping_mul(2)),
            Self::Put(number) => Some(number),
            Self::Drop => None,
        }
    }
}

/// What an act gives; `Err` is a value of another type.
pub type Seen = Result<Option<Value>, ()>;

impl Act {
    pub fn on_session(&self, session: &mut Session) -> Seen {
        let number = |number: Option<i64>| number.map(Value::from);
        match self.clone() {
            Self::Index(key, value) => session[key] = value,
            Self::Nested(key, inner, value) => {
                if session[key].is_object() || session[key].is_null() {
                    session[key][inner] = value;
                }
            }
            Self::Look(key) => {
                let _ = &mut session[key];
            }
            Self::Insert(key, value) => session.insert(key, value).expect("JSON"),
            Self::InsertNoJson(key) => {
                let pairs = std::collections::HashMap::from([((1, 2), 3)]);
                session.insert(key, pairs).expect_err("no key of JSON");
            }
            Self::Update(key, fun) => {
                let new = session.update(key, move |held| fun.of(held));
                return new.map(number).map_err(drop);
            }
            Self::Remove(key) => return Ok(session.remove(key)),
            Self::Take(key) => return session.take(key).map(number).map_err(drop),
            Self::DataInsert(key, value) => return Ok(session.data_mut().insert(key, value)),
            Self::DataIndex(key, value) => session.data_mut()[key] = value,
            Self::DataRemove(key) => return Ok(session.data_mut().remove(key)),
            Self::DataClear => session.data_mut().clear(),
        }
        Ok(None)
    }

    pub fn on_map(&self, map: &mut Dictionary) -> Seen {
        match self.clone() {
            Self::Index(key, value) | Self::Insert(key, value) | Self::DataIndex(key, value) => {
                drop(set(map, key, value));
            }
            Self::Nested(key, inner, value) => match map.get_mut(key) {
                Some(Value::Object(fields)) => drop(fields.insert(inner.to_owned(), value)),
                None => drop(set(map, key, json!({ inner: value }))),
                Some(_) => {}
            },
            Self::Look(_) | Self::InsertNoJson(_) => {}
            Self::Update(key, fun) => {
                let new = fun.of(number(map.get(key))?).map(Value::from);
                set(map, key, json!(new));
                return Ok(new);
            }
            Self::Take(key) => {
                let taken = number(map.get(key))?;
                map.remove(key);
                return Ok(taken.map(Value::from));
            }
            Self::Remove(key) | Self::DataRemove(key) => return Ok(map.remove(key)),
            Self::DataInsert(key, value) => return Ok(set(map, key, value)),
            Self::DataClear => map.clear(),
        }
        Ok(None)
    }
}

/// Sets a key. Null is no value, so it removes the key.
pub fn set(map: &mut Dictionary, key: &str, value: Value) -> Option<Value> {
    if value.is_null() {
        return map.remove(key);
    }
    map.insert(key.to_owned(), value)
}

/// A missing one is none; what is no number is an error.
pub fn number(value: Option<&Value>) -> Result<Option<i64>, ()> {
    value.map(|value| value.as_i64().ok_or(())).transpose()
}

pub fn key() -> impl Strategy<Value = Key> {
    // Few and one of them often, so that acts meet; in another order than that of the keys.
    prop_oneof![2 => Just("b"), 1 => prop::sample::select(&["a", "", "aa", "ä"][..])]
}

pub fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (0..4_i64).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!("text")),
        1 => Just(json!({"x": 1})),
        1 => Just(json!([1, {"y": null}])),
    ]
}

pub fn fun() -> impl Strategy<Value = Fun> {
    prop_oneof![
        3 => (-1..3_i64).prop_map(Fun::Add),
        1 => Just(Fun::Double),
        1 => (-2..4_i64).prop_map(Fun::Put),
        1 => Just(Fun::Drop),
    ]
}

pub fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (key(), value()).prop_map(|(key, value)| Act::Index(key, value)),
        1 => (key(), key(), value()).prop_map(|(key, inner, value)| Act::Nested(key, inner, value)),
        1 => key().prop_map(Act::Look),
        2 => (key(), value()).prop_map(|(key, value)| Act::Insert(key, value)),
        1 => key().prop_map(Act::InsertNoJson),
        4 => (key(), fun()).prop_map(|(key, fun)| Act::Update(key, fun)),
        1 => key().prop_map(Act::Remove),
        1 => key().prop_map(Act::Take),
        2 => (key(), value()).prop_map(|(key, value)| Act::DataInsert(key, value)),
        1 => (key(), value()).prop_map(|(key, value)| Act::DataIndex(key, value)),
        1 => key().prop_map(Act::DataRemove),
        1 => Just(Act::DataClear),
    ]
}

/// What may be stored.
pub fn dictionary() -> impl Strategy<Value = Dictionary> {
    prop::collection::btree_map(key(), value(), 0..4).prop_map(|pairs| {
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_null());
        pairs.map(|(key, value)| (key.to_owned(), value)).collect()
    })
}

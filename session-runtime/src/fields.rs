//! The fields of a view: their names, as serde reads and writes them, and their values.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde::ser::{self, Impossible, Serialize, SerializeStruct, Serializer};
use serde_json::Value;

use crate::finite;

/// The values of the fields of a view. A field that was skipped has none.
#[derive(Default)]
pub(crate) struct Fields(BTreeMap<&'static str, Option<Value>>);

/// The reason why a type is no view. It reads on after the name of the type.
#[derive(Debug)]
pub(crate) enum Problem {
    Map,
    Newtype,
    Other,
    Unread(&'static str),
    Unwritten(&'static str),
    /// A part of the view cannot be written. This is serde's error.
    Unwritable(String),
}

impl Fields {
    /// Takes a view apart.
    pub(crate) fn of<T: Serialize>(view: &T) -> Result<Self, Problem> {
        view.serialize(Writer)
    }

    /// The value that a field writes; `None` if it was skipped.
    pub(crate) fn written(&self, name: &str) -> Option<&Value> {
        self.0.get(name)?.as_ref()
    }

    /// The value of a field; Null if it was skipped, because then the session does not have it either.
    pub(crate) fn value(&self, name: &str) -> &Value {
        self.written(name).unwrap_or(&Value::Null)
    }

    /// The names of the fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Refuses names that are not both read and written: changes would be lost without a word.
    pub(crate) fn check(&self, read: &[&'static str]) -> Result<(), Problem> {
        if let Some(name) = read.iter().find(|name| !self.0.contains_key(*name)) {
            return Err(Problem::Unwritten(name));
        }
        match self.names().find(|name| !read.contains(name)) {
            Some(name) => Err(Problem::Unread(name)),
            None => Ok(()),
        }
    }
}

/// Returns the names that a view reads, with its aliases. Nothing is read for that.
pub(crate) fn names_read<T: DeserializeOwned>() -> Result<&'static [&'static str], Problem> {
    match T::deserialize(Reader) {
        Err(Found::Names(names)) => Ok(names),
        Err(Found::Problem(problem)) => Err(problem),
        Err(Found::Error) | Ok(_) => Err(Problem::Other),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map => f.write_str(
                "is a map, or has a field with `#[serde(flatten)]`, and would take every key of the session as its \
                 own; put the map, or the inner struct without `flatten`, into a field",
            ),
            Self::Newtype => f.write_str(
                "is a struct around one value; if that is a struct with named fields, add `#[serde(transparent)]`",
            ),
            Self::Other => f.write_str(
                "is something else for serde, as an enum or a tuple is; put it into a field of a struct",
            ),
            Self::Unread(name) => write!(
                f,
                "writes `{name}`, but never reads it, as with `skip_deserializing`, `tag` or a `rename` of one side; \
                 give the field one name for both, or leave it out with `#[serde(skip)]`"
            ),
            Self::Unwritten(name) => write!(
                f,
                "reads `{name}`, but never writes it, as with `alias`, `skip_serializing` or a `rename` of one side; \
                 give the field one name for both, and move what is stored under an old name with `session.take` and \
                 `session.insert`"
            ),
            Self::Unwritable(error) => write!(f, "cannot be written: {error}"),
        }
    }
}

impl std::error::Error for Problem {}

impl ser::Error for Problem {
    fn custom<T: fmt::Display>(error: T) -> Self {
        Self::Unwritable(error.to_string())
    }
}

/// Writes the fields of a struct, and refuses everything else.
struct Writer;

/// Refuses what is not written by the names of its fields.
macro_rules! refuse {
    ($($method:ident($($type:ty),*) -> $output:ty: $problem:ident;)+) => {$(
        fn $method(self, $(_: $type),*) -> Result<$output, Problem> {
            Err(Problem::$problem)
        }
    )+};
}

type Never = Impossible<Fields, Problem>;

impl Serializer for Writer {
    type Ok = Fields;
    type Error = Problem;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Never;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields, Problem> {
        Ok(Fields::default())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Fields, Problem> {
        Err(Problem::Other)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<Fields, Problem> {
        Err(Problem::Newtype)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Fields, Problem> {
        Err(Problem::Other)
    }

    refuse! {
        serialize_bool(bool) -> Fields: Other;
        serialize_i8(i8) -> Fields: Other;
        serialize_i16(i16) -> Fields: Other;
        serialize_i32(i32) -> Fields: Other;
        serialize_i64(i64) -> Fields: Other;
        serialize_i128(i128) -> Fields: Other;
        serialize_u8(u8) -> Fields: Other;
        serialize_u16(u16) -> Fields: Other;
        serialize_u32(u32) -> Fields: Other;
        serialize_u64(u64) -> Fields: Other;
        serialize_u128(u128) -> Fields: Other;
        serialize_f32(f32) -> Fields: Other;
        serialize_f64(f64) -> Fields: Other;
        serialize_char(char) -> Fields: Other;
        serialize_str(&str) -> Fields: Other;
        serialize_bytes(&[u8]) -> Fields: Other;
        serialize_none() -> Fields: Other;
        serialize_unit() -> Fields: Other;
        serialize_unit_struct(&'static str) -> Fields: Other;
        serialize_unit_variant(&'static str, u32, &'static str) -> Fields: Other;
        serialize_seq(Option<usize>) -> Never: Other;
        serialize_tuple(usize) -> Never: Other;
        serialize_tuple_struct(&'static str, usize) -> Never: Other;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never: Other;
        serialize_map(Option<usize>) -> Never: Map;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never: Other;
    }
}

impl SerializeStruct for Fields {
    type Ok = Self;
    type Error = Problem;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Problem> {
        let value = finite::to_value(value)
            .map_err(|error| Problem::Unwritable(format!("`{name}`: {error}")))?;
        self.0.insert(name, Some(value));
        Ok(())
    }

    fn skip_field(&mut self, name: &'static str) -> Result<(), Problem> {
        self.0.insert(name, None);
        Ok(())
    }

    fn end(self) -> Result<Self, Problem> {
        Ok(self)
    }
}

/// Finds out what a type asks a deserializer for, and gives it nothing.
struct Reader;

/// The answer of [`Reader`], as an error, so that the type gives up.
#[derive(Debug)]
enum Found {
    Names(&'static [&'static str]),
    Problem(Problem),
    /// The type has an error of its own before it asks.
    Error,
}

impl<'de> Deserializer<'de> for Reader {
    type Error = Found;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Found> {
        Err(Found::Problem(Problem::Other))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Found> {
        Err(Found::Names(fields))
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Found> {
        Err(Found::Problem(Problem::Map))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Found> {
        Err(Found::Problem(Problem::Newtype))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct enum identifier ignored_any
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the names of the fields are found")
    }
}

impl std::error::Error for Found {}

impl de::Error for Found {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Error
    }
}

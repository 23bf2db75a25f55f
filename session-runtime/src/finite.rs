//! The finite serializer: makes JSON values, and refuses the numbers that JSON does not have.

use std::fmt::Display;

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Value;

/// Makes a JSON value. The same as [`serde_json::to_value`], which writes NaN and infinities as null, but they are
/// errors here, at any depth.
pub(crate) fn to_value(value: impl Serialize) -> Result<Value, serde_json::Error> {
    value.serialize(Finite(serde_json::value::Serializer))
}

/// A serializer, or a part of one, that passes everything on to another one. Only a float is looked at first.
struct Finite<S>(S);

/// A part of a value. It is serialized with [`Finite`], too.
struct Part<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Serialize for Part<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Finite(serializer))
    }
}

#[cold]
fn not_finite<E: Error>() -> E {
    E::custom("NaN and infinities are not in JSON")
}

#[cold]
fn in_field<E: Error>(field: &str, error: &E) -> E {
    E::custom(format_args!("`{field}`: {error}"))
}

macro_rules! pass_on {
    ($($method:ident($($argument:ident: $type:ty),*) -> $output:ident;)+) => {$(
        fn $method(self, $($argument: $type),*) -> Result<S::$output, S::Error> {
            self.0.$method($($argument),*)
        }
    )+};
}

macro_rules! pass_on_parts {
    ($($method:ident($($argument:ident: $type:ty),*) -> $output:ident;)+) => {$(
        fn $method(self, $($argument: $type),*) -> Result<Self::$output, S::Error> {
            self.0.$method($($argument),*).map(Finite)
        }
    )+};
}

impl<S: Serializer> Serializer for Finite<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Finite<S::SerializeSeq>;
    type SerializeTuple = Finite<S::SerializeTuple>;
    type SerializeTupleStruct = Finite<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Finite<S::SerializeTupleVariant>;
    type SerializeMap = Finite<S::SerializeMap>;
    type SerializeStruct = Finite<S::SerializeStruct>;
    type SerializeStructVariant = Finite<S::SerializeStructVariant>;

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            self.0.serialize_f32(value)
        } else {
            Err(not_finite())
        }
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            self.0.serialize_f64(value)
        } else {
            Err(not_finite())
        }
    }

    pass_on! {
        serialize_bool(value: bool) -> Ok;
        serialize_i8(value: i8) -> Ok;
        serialize_i16(value: i16) -> Ok;
        serialize_i32(value: i32) -> Ok;
        serialize_i64(value: i64) -> Ok;
        serialize_i128(value: i128) -> Ok;
        serialize_u8(value: u8) -> Ok;
        serialize_u16(value: u16) -> Ok;
        serialize_u32(value: u32) -> Ok;
        serialize_u64(value: u64) -> Ok;
        serialize_u128(value: u128) -> Ok;
        serialize_char(value: char) -> Ok;
        serialize_str(value: &str) -> Ok;
        serialize_bytes(value: &[u8]) -> Ok;
        serialize_none() -> Ok;
        serialize_unit() -> Ok;
        serialize_unit_struct(name: &'static str) -> Ok;
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> Ok;
    }

    pass_on_parts! {
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple(len: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Part(value))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Part(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let part = Part(value);
        self.0
            .serialize_newtype_variant(name, index, variant, &part)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! elements {
    ($($trait:ident: $method:ident;)+) => {$(
        impl<S: $trait> $trait for Finite<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                self.0.$method(&Part(value))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )+};
}

elements! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
}

macro_rules! fields {
    ($($trait:ident)+) => {$(
        impl<S: $trait> $trait for Finite<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                let written = self.0.serialize_field(key, &Part(value));
                written.map_err(|error| in_field(key, &error))
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
                self.0.skip_field(key)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )+};
}

fields! { SerializeStruct SerializeStructVariant }

impl<S: SerializeMap> SerializeMap for Finite<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.0.serialize_key(&Part(key))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_value(&Part(value))
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), S::Error> {
        self.0.serialize_entry(&Part(key), &Part(value))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    struct Newtype<T>(T);
    #[derive(Serialize)]
    struct Pair<T>(T, u8);
    #[derive(Serialize)]
    struct Fields<T> {
        part: T,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
    }
    #[derive(Serialize)]
    struct Flat<T> {
        #[serde(flatten)]
        part: T,
    }
    #[derive(Serialize)]
    enum Variants<T> {
        Unit,
        Newtype(T),
        Pair(T, u8),
        Fields { part: T },
    }
    #[derive(Serialize)]
    #[serde(tag = "kind", content = "of")]
    enum Tagged<T> {
        One(T),
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Untagged<T> {
        One(T),
    }

    fn is_the_same(value: impl Serialize) {
        let expected = serde_json::to_value(&value).expect("JSON");
        assert_eq!(to_value(value).expect("JSON"), expected);
    }

    #[test]
    fn every_other_value_is_written_as_serde_json_writes_it() {
        is_the_same((true, 'c', "text", String::from("owned"), ()));
        is_the_same((i8::MIN, i16::MIN, i32::MIN, i64::MIN, 5_i128, -5_i128));
        is_the_same((u8::MAX, u16::MAX, u32::MAX, u64::MAX, 5_u128));
        is_the_same((f32::MIN, f32::EPSILON, f64::MAX, 5e-324, -0.0));
        is_the_same((None::<u8>, Some(Some(1)), Unit, Newtype(2), Pair(3, 4)));
        is_the_same((&[1, 2][..], [[1.5; 3]; 2], vec![Some("a"), None]));
        is_the_same(BTreeMap::from([("a", BTreeMap::from([(1, 'x')]))]));
        is_the_same(BTreeMap::from([(true, 1)]));
        is_the_same(BTreeMap::from([('c', 1)]));
        let fields = |left_out| Fields { part: 1, left_out };
        is_the_same((fields(None), fields(Some(2)), Flat { part: fields(None) }));
        is_the_same((Variants::<u8>::Unit, Variants::Newtype(1)));
        is_the_same((Variants::Pair(1, 2), Variants::Fields { part: 1 }));
        is_the_same((Tagged::One(1), Untagged::One(1)));
        is_the_same(json!({"a": [1, 2.5, null, {"b": "c"}], "d": u64::MAX}));
        is_the_same(std::net::Ipv4Addr::LOCALHOST);
        is_the_same(std::time::Duration::from_millis(1500));
    }

    #[test]
    fn what_serde_json_refuses_is_refused() {
        assert!(to_value(BTreeMap::from([((1, 2), 3)])).is_err());
        assert!(to_value(u128::MAX).is_err());
    }

    fn is_refused(value: impl Serialize) {
        let error = to_value(value).expect_err("not finite").to_string();
        assert!(
            error.ends_with("NaN and infinities are not in JSON"),
            "{error}"
        );
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_at_any_depth() {
        is_refused(f32::NAN);
        is_refused(f32::INFINITY);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            is_refused(bad);
            is_refused(Some(bad));
            is_refused(vec![1.0, bad]);
            is_refused([[bad; 1]; 1]);
            is_refused((1, bad));
            is_refused(BTreeMap::from([("key", bad)]));
            is_refused((Newtype(bad), 1));
            is_refused(Pair(bad, 1));
            is_refused(Flat {
                part: Fields {
                    part: bad,
                    left_out: None,
                },
            });
            is_refused(Variants::Newtype(bad));
            is_refused(Variants::Pair(bad, 1));
            is_refused(Variants::Fields { part: bad });
            is_refused(Tagged::One(bad));
            is_refused(Untagged::One(bad));
        }
    }

    #[test]
    fn the_fields_that_lead_to_it_are_named() {
        let inner = Fields {
            part: vec![f64::NAN],
            left_out: None,
        };
        let error = to_value(Variants::Fields { part: inner }).expect_err("not finite");
        assert_eq!(
            error.to_string(),
            "`part`: `part`: NaN and infinities are not in JSON"
        );
    }
}

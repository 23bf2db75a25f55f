//! Typed views: some keys of the session as the fields of a type.

use std::any::type_name;

use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde::ser::Serialize;

use crate::data::Data;
use crate::error::{Error, Result};
use crate::fields::{Fields, names_read};
use crate::session::Session;

/// A type whose fields are keys of the session.
///
/// A `#[session]` handler takes a view as a parameter, by reference. The handler gets a copy that is made before its
/// body runs: the view's `Default`, overlaid with the fields that the session has. If the parameter is `&mut`, the
/// fields that the body changed are set in the session after the body, as by [`insert`](Session::insert). If two
/// requests change different fields, both changes are kept.
///
/// ```
/// use actix_web::{Responder, post, web::Path};
/// use bsession::{View, session};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Cart {
///     items: Vec<u32>,
///     coupon: Option<String>,
/// }
///
/// impl View for Cart {}
///
/// #[post("/cart/{item}")]
/// #[session]
/// async fn add(item: Path<u32>, cart: &mut Cart) -> impl Responder {
///     cart.items.push(*item);
///     format!("{} in your cart", cart.items.len())
/// }
/// # use actix_web::{App, test};
/// # use bsession::{Mode, Secret, Sessions};
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sessions = Sessions::builder(Secret::random()?).mode(Mode::Memory).build()?;
/// # let app = test::init_service(App::new().app_data(sessions).service(add)).await;
/// # let request = test::TestRequest::post().uri("/cart/7").to_request();
/// # assert_eq!(test::call_and_read_body(&app, request).await, "1 in your cart");
/// # Ok(())
/// # }
/// ```
///
/// The names of the fields are keys of the session's one dictionary: here `items` and `coupon`, not `cart`.
/// `#[serde(rename = "cart_items")]` keeps two views apart, or lets them share a key. [Null is no value](Session), so a
/// field that is `None` has no key, and its default must be `None`, too.
///
/// A view is a struct with named fields, each of which is read and written under one name. Everything else could lose
/// changes, and is refused whenever the view is used: the handler's answer is a 500, and the log says why and what to
/// write instead. It is the same if a field holds NaN or an infinity, which are not in JSON.
///
/// | | |
/// |---|---|
/// | a map, `#[serde(flatten)]` | would take every key as its field; put the map or the inner struct into a field |
/// | an enum, a tuple, `#[serde(tag)]`, `#[serde(untagged)]` | has no names, or not always the same; put it into a field |
/// | `alias`, `skip_serializing`, `rename(deserialize = …)` | is read and never written; give the field one name, and move an old value with [`take`](Session::take) and [`insert`](Session::insert) |
/// | `skip_deserializing`, `rename(serialize = …)` | is written and never read; give the field one name, or `#[serde(skip)]` |
/// | a struct around one struct | is a view with `#[serde(transparent)]` |
///
/// `rename`, `rename_all`, `default`, `skip`, `skip_serializing_if`, `with`, `deny_unknown_fields`, `from` and `into` work
/// as they do elsewhere.
///
/// A stored value may not fit its field, for example after a change of the type. Such a value is logged, and it stays
/// as it is unless the body changes the field. If the body purged the session or logged in another user, nothing is
/// written. To change one field exactly, even if requests race, use [`update`](Session::update).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no view of the session",
    label = "not a `View`",
    note = "an extractor is written without `&`",
    note = "a view is a struct of your own: `#[derive(Default, Serialize, Deserialize)]`, and `impl bsession::View for {Self} {{}}`",
    note = "`&str` is the user who is logged in, `&mut Session` the session"
)]
pub trait View: Serialize + DeserializeOwned + Default {}

/// A view in the hands of a handler.
pub struct Viewed<T> {
    value: T,
    before: Fields,
    /// A function pointer instead of a bound `T: View` on each method: a type that is not a view then causes one
    /// compiler error, and not one for each use.
    fields: fn(&T) -> Result<Fields>,
    /// The fields that a session without any key has.
    initial: fn() -> Result<Fields>,
}

impl<T: View> Viewed<T> {
    pub(crate) fn load(session: &Session) -> Result<Self> {
        let value = overlaid(session.data())?;
        Ok(Self {
            before: fields(&value)?,
            value,
            ..Self::unloaded()
        })
    }

    /// The default view, on which the body runs if [`load`](Self::load) failed.
    pub(crate) fn unloaded() -> Self {
        Self {
            value: T::default(),
            before: Fields::default(),
            fields: fields::<T>,
            initial: || fields(&overlaid::<T>(&Data::default())?),
        }
    }
}

impl<T> Viewed<T> {
    /// The view, for reading and changes.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// Sets the fields that have changed.
    pub(crate) fn write(self, session: &mut Session) -> Result<()> {
        if session.was_emptied() {
            return Ok(());
        }
        let after = (self.fields)(&self.value)?;
        let is_changed = |name: &&str| self.before.value(name) != after.value(name);
        for name in after.names().filter(is_changed) {
            let value = after.value(name);
            if value.is_null() && !(self.initial)()?.value(name).is_null() {
                return Err(no_view::<T>(format!(
                    "sets `{name}` to `None`, or leaves it out, and that removes the key: the next request would find \
                     the default again, which is another value; let the default be `None`, too"
                )));
            }
            session.insert(name, value)?;
        }
        Ok(())
    }
}

/// Shows no fields: they are session values, which must not appear in a log.
impl<T> std::fmt::Debug for Viewed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Viewed(..)")
    }
}

fn no_view<T>(problem: impl ToString) -> Error {
    Error::View {
        view: type_name::<T>(),
        problem: problem.to_string(),
    }
}

fn fields<T: View>(view: &T) -> Result<Fields> {
    Fields::of(view).map_err(no_view::<T>)
}

/// Reads a view: its default, overlaid with the session's values.
fn overlaid<T: View>(data: &Data) -> Result<T> {
    let default = fields(&T::default())?;
    let names = names_read::<T>().map_err(no_view::<T>)?;
    default.check(names).map_err(no_view::<T>)?;
    let with = |chosen: &dyn Fn(&str) -> bool| read::<T>(names, &default, data, chosen);
    if let Ok(value) = with(&|_| true) {
        return Ok(value);
    }
    with(&|_| false)
        .map_err(|error| no_view::<T>(format!("does not read its own default: {error}")))?;
    // Some value has the wrong type. Find out which values can be read.
    let fits = |key: &&str| {
        let read = with(&|other| other == *key);
        if read.is_err() {
            // Do not log serde's error: it contains the value.
            tracing::warn!(target: "bsession", view = type_name::<T>(), key, "field_does_not_fit");
        }
        read.is_ok()
    };
    let stored = names.iter().copied().filter(|name| data.contains_key(name));
    let fitting: Vec<&str> = stored.filter(fits).collect();
    with(&|key| fitting.contains(&key))
        .or_else(|_| with(&|_| false))
        .map_err(no_view::<T>)
}

/// Reads a view from its default and the chosen keys of the session.
fn read<T: View>(
    names: &[&'static str],
    default: &Fields,
    data: &Data,
    chosen: impl Fn(&str) -> bool,
) -> Result<T, serde_json::Error> {
    let values = names.iter().filter_map(|name| {
        let stored = data.get(name).filter(|_| chosen(name));
        Some((*name, stored.or_else(|| default.written(name))?))
    });
    T::deserialize(MapDeserializer::new(values))
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Cart {
        items: Vec<u32>,
        coupon: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gift: Option<String>,
    }

    impl View for Cart {}

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        items: Vec<u32>,
    }

    impl View for Strict {}

    fn session(data: Value) -> Session {
        let mut session = Session::default();
        for (key, value) in data.as_object().expect("an object") {
            session.insert(key, value).expect("it is JSON");
        }
        session
    }

    fn load<T: View>(session: &Session) -> Viewed<T> {
        Viewed::load(session).expect("a view")
    }

    #[test]
    fn a_view_is_its_default_with_what_is_stored() {
        assert_eq!(load::<Cart>(&Session::default()).value, Cart::default());
        let session = session(json!({ "items": [1], "gift": "yes", "name": "joe" }));
        let cart = load::<Cart>(&session).value;
        assert_eq!(
            (cart.items, cart.coupon, cart.gift),
            (vec![1], None, Some("yes".into()))
        );
    }

    #[test]
    fn what_does_not_fit_is_left() {
        let mut session =
            session(json!({ "items": "many", "coupon": "ten", "gift": "yes", "name": 7 }));
        let mut view = load::<Cart>(&session);
        assert_eq!(
            (&view.value.items, &view.value.coupon, &view.value.gift),
            (&vec![], &Some("ten".into()), &Some("yes".into()))
        );
        view.value.coupon = None;
        view.write(&mut session).expect("written");
        assert_eq!(session["items"], "many");
        assert_eq!(session["coupon"], Value::Null);
    }

    #[test]
    fn other_keys_are_nobodys_business() {
        let session = session(json!({ "items": [1, 2], "name": "joe" }));
        assert_eq!(load::<Strict>(&session).value.items, [1, 2]);
    }

    #[test]
    fn only_changed_fields_are_written() {
        let mut session = session(json!({ "items": [1], "gift": "yes" }));
        let mut view = load::<Cart>(&session);
        view.value.items.push(2);
        view.value.gift = None;
        // The body sets this key directly. The view did not change that field and must not overwrite it.
        session["coupon"] = "ten".into();
        view.write(&mut session).expect("written");
        assert_eq!(session["items"], json!([1, 2]));
        assert_eq!(session["coupon"], "ten");
        assert!(!session.contains_key("gift"));
    }

    #[test]
    fn nothing_of_a_session_that_has_ended_comes_back() {
        let ends: [fn(&mut Session); 2] = [Session::purge, |session| session.login("eve")];
        for end in ends {
            let mut session = session(json!({ "items": [1] }));
            session.login("joe");
            let mut view = load::<Cart>(&session);
            view.value.items.push(2);
            end(&mut session);
            view.write(&mut session).expect("nothing written");
            assert!(session.is_empty());
        }
        let mut session = session(json!({ "items": [1] }));
        let mut view = load::<Cart>(&session);
        view.value.items.push(2);
        session.login("joe");
        view.write(&mut session).expect("written");
        assert_eq!(
            session["items"],
            json!([1, 2]),
            "what was anonymous is theirs"
        );
    }

    #[test]
    fn a_field_with_a_number_that_json_does_not_have_is_named() {
        #[derive(Default, Serialize, Deserialize)]
        struct Scale {
            factor: f64,
        }
        impl View for Scale {}

        let mut session = Session::default();
        let mut view = load::<Scale>(&session);
        view.value.factor = f64::NAN;
        let error = view.write(&mut session).expect_err("not finite");
        assert!(error.to_string().contains("`factor`"), "{error}");
        assert!(session.is_empty());
    }

    fn refusal<T: View>() -> String {
        let error = Viewed::<T>::load(&Session::default()).err();
        let Some(Error::View { view, problem }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(view, type_name::<T>());
        problem
    }

    macro_rules! views {
        ($($(#[$serde:meta])* $kind:ident $name:ident $body:tt)+) => {$(
            #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
            $(#[$serde])*
            $kind $name $body
            impl View for $name {}
        )+};
    }

    /// What could lose a change is refused at the first use, with what to write instead.
    #[test]
    fn what_cannot_work_as_a_view_is_refused_with_what_to_write() {
        #[derive(Default, Serialize, Deserialize)]
        struct Newtype(Inner);
        impl View for Newtype {}
        #[derive(Default, Serialize, Deserialize)]
        struct Pair(u32, u32);
        impl View for Pair {}
        views! {
            struct Inner { n: u32 }
            struct Aliased { #[serde(alias = "old")] new: u32 }
            struct ReadOnly { #[serde(default, skip_serializing)] x: u32 }
            struct Misnamed { #[serde(rename(deserialize = "in"), default)] x: u32 }
            struct WriteOnly { #[serde(skip_deserializing)] x: u32 }
            #[serde(rename_all(serialize = "UPPERCASE"))]
            struct Loud { #[serde(default)] ear: u32 }
            #[serde(tag = "kind")]
            struct Tagged { n: u32 }
            struct Flat { #[serde(flatten)] inner: Inner }
            struct Rest { n: u32, #[serde(flatten)] rest: std::collections::HashMap<String, Value> }
            struct Unit {}
            #[serde(tag = "kind")]
            enum InnerTag { #[default] One, Two { n: u32 } }
            #[serde(untagged)]
            enum Untagged { #[default] One, Two { n: u32 } }
            enum Plain { #[default] One, Two { n: u32 } }
        }
        assert!(
            Viewed::<Unit>::load(&Session::default()).is_ok(),
            "no fields, but names"
        );
        for (problem, name) in [
            (refusal::<Aliased>(), "old"),
            (refusal::<ReadOnly>(), "x"),
            (refusal::<Misnamed>(), "in"),
            (refusal::<Loud>(), "ear"),
        ] {
            assert!(
                problem.starts_with(&format!("reads `{name}`, but never writes it")),
                "{problem}"
            );
            assert!(
                problem.contains("`session.take` and `session.insert`"),
                "{problem}"
            );
        }
        for (problem, name) in [(refusal::<WriteOnly>(), "x"), (refusal::<Tagged>(), "kind")] {
            assert!(
                problem.starts_with(&format!("writes `{name}`, but never reads it")),
                "{problem}"
            );
            assert!(problem.contains("`#[serde(skip)]`"), "{problem}");
        }
        for problem in [refusal::<Flat>(), refusal::<Rest>()] {
            assert!(
                problem.contains("`#[serde(flatten)]`") && problem.contains("into a field"),
                "{problem}"
            );
        }
        assert!(refusal::<Newtype>().contains("`#[serde(transparent)]`"));
        for problem in [
            refusal::<Pair>(),
            refusal::<InnerTag>(),
            refusal::<Untagged>(),
            refusal::<Plain>(),
        ] {
            assert!(
                problem.ends_with("put it into a field of a struct")
                    || problem.contains("never reads it"),
                "{problem}"
            );
        }
    }

    #[test]
    fn a_map_is_no_view() {
        #[derive(Default, Serialize, Deserialize)]
        #[serde(transparent)]
        struct All(std::collections::HashMap<String, Value>);
        impl View for All {}

        assert!(refusal::<All>().contains("put the map"));
    }

    #[test]
    fn what_serde_does_to_one_name_works_in_a_view() {
        fn hex<S: serde::Serializer>(n: &u32, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{n:x}"))
        }
        fn from_hex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
            let text = String::deserialize(deserializer)?;
            u32::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
        }
        #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Many<T> {
            two_words: T,
            #[serde(rename = "called")]
            named: T,
            #[serde(skip)]
            mine: u32,
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            list: Vec<T>,
            #[serde(default)]
            map: std::collections::BTreeMap<String, T>,
            #[serde(serialize_with = "hex", deserialize_with = "from_hex")]
            hex: u32,
        }
        impl<T: Default + PartialEq + Serialize + serde::de::DeserializeOwned> View for Many<T> {}
        #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(transparent)]
        struct Around(Many<u8>);
        impl View for Around {}
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(from = "Inner", into = "Inner")]
        struct Made(u32);
        #[derive(Serialize, Deserialize)]
        struct Inner {
            n: u32,
        }
        impl From<Inner> for Made {
            fn from(Inner { n }: Inner) -> Self {
                Self(n)
            }
        }
        impl From<Made> for Inner {
            fn from(Made(n): Made) -> Self {
                Self { n }
            }
        }
        impl View for Made {}

        let mut session = session(json!({ "other": 1 }));
        let mut view = load::<Around>(&session);
        view.value.0 = Many {
            two_words: 1,
            named: 2,
            mine: 3,
            list: vec![4],
            map: [("five".to_owned(), 5)].into(),
            hex: 255,
        };
        view.write(&mut session).expect("written");
        let mut view = load::<Made>(&session);
        view.value.0 = 6;
        view.write(&mut session).expect("written");
        let stored = json!({ "other": 1, "twoWords": 1, "called": 2, "list": [4], "map": { "five": 5 }, "hex": "ff", "n": 6 });
        assert_eq!(json!(session.data()), stored);
        assert_eq!(load::<Made>(&session).value, Made(6));
        let mut view = load::<Many<u8>>(&session);
        assert_eq!(
            (view.value.named, view.value.mine, view.value.hex),
            (2, 0, 255)
        );
        view.value.list.clear();
        view.write(&mut session).expect("written");
        assert!(!session.contains_key("list"));
        assert!(load::<Many<u8>>(&session).value.list.is_empty());
    }

    /// `None` removes the key, so it must not be lost in favour of another default.
    #[test]
    fn a_none_whose_default_is_another_value_is_refused() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Prefs {
            theme: Option<String>,
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            tags: Vec<u32>,
        }
        impl Default for Prefs {
            fn default() -> Self {
                Self {
                    theme: Some("dark".into()),
                    tags: vec![1],
                }
            }
        }
        impl View for Prefs {}

        let acts: [fn(&mut Prefs); 2] = [|prefs| prefs.theme = None, |prefs| prefs.tags.clear()];
        for (name, act) in ["theme", "tags"].into_iter().zip(acts) {
            for begins in [json!({}), json!({ "theme": "light", "tags": [2] })] {
                let mut session = session(begins.clone());
                let mut view = load::<Prefs>(&session);
                act(&mut view.value);
                let error = view
                    .write(&mut session)
                    .expect_err("it would be lost")
                    .to_string();
                assert!(
                    error.contains(&format!("sets `{name}` to `None`, or leaves it out")),
                    "{error}"
                );
                assert_eq!(json!(session.data()), begins);
            }
        }
        let mut session = session(json!({ "coupon": "ten" }));
        let mut view = load::<Cart>(&session);
        view.value.coupon = None;
        view.write(&mut session).expect("its default is `None`");
        assert!(!session.contains_key("coupon"));
    }

    #[test]
    fn a_view_that_does_not_read_its_default_is_an_error() {
        #[derive(Default, Serialize, Deserialize)]
        struct Picky {
            #[serde(deserialize_with = "never")]
            _x: u32,
        }
        fn never<'de, D: serde::Deserializer<'de>>(_: D) -> Result<u32, D::Error> {
            Err(serde::de::Error::custom("never"))
        }
        impl View for Picky {}

        assert!(refusal::<Picky>().contains("does not read its own default: never"));
    }
}

//! Typed views: some keys of the session as the fields of a type.

use std::any::type_name;

use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde::ser::Serialize;
use serde_json::{Map, Value};

use crate::data::Data;
use crate::error::{Error, Result};
use crate::finite;
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
/// A view is a struct with named fields that can read what it writes. For any other type the handler's answer is a 500,
/// and the log says why. It is the same if a field holds NaN or an infinity, which are not in JSON.
///
/// The names of the fields are keys of the session's one dictionary: here `items` and `coupon`, not `cart`.
/// `#[serde(rename = "cart_items")]` keeps two views apart, or lets them share a key. A map cannot be a view, and
/// neither can a struct with `#[serde(flatten)]`, because it would take every key as its field. Put the map into a
/// field.
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
    before: Map<String, Value>,
    /// A function pointer instead of a bound `T: View` on each method: a type that is not a view then causes one
    /// compiler error, and not one for each use.
    fields: fn(&T) -> Result<Map<String, Value>>,
}

impl<T: View> Viewed<T> {
    pub(crate) fn load(session: &Session) -> Result<Self> {
        let default = fields(&T::default())?;
        let value = overlaid(&default, session.data())?;
        let before = fields(&value)?;
        Ok(Self {
            value,
            before,
            fields: fields::<T>,
        })
    }

    /// The default view, on which the body runs if [`load`](Self::load) failed.
    pub(crate) fn unloaded() -> Self {
        Self {
            value: T::default(),
            before: Map::new(),
            fields: fields::<T>,
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
        for (name, value) in &after {
            if self.before.get(name) != Some(value) {
                session.insert(name, value)?;
            }
        }
        for (name, _) in &self.before {
            if !after.contains_key(name) {
                session.remove(name);
            }
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

fn no_view<T>(problem: impl Into<String>) -> Error {
    Error::View {
        view: type_name::<T>(),
        problem: problem.into(),
    }
}

fn fields<T: View>(view: &T) -> Result<Map<String, Value>> {
    match finite::to_value(view) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(no_view::<T>("is not written as a map of its fields")),
        Err(error) => Err(no_view::<T>(format!("cannot be written: {error}"))),
    }
}

/// Reads a view: its default, overlaid with the session's values.
fn overlaid<T: View>(default: &Map<String, Value>, data: &Data) -> Result<T> {
    let with = |chosen: &dyn Fn(&str) -> bool| read::<T>(default, data, chosen);
    if let Ok(value) = with(&|_| true) {
        return Ok(value);
    }
    with(&|_| false)
        .map_err(|error| no_view::<T>(format!("does not read its own default: {error}")))?;
    // Some value has the wrong type, or the view's type rejects unknown keys. Find out which keys can be read.
    let is_field = |key: &str| default.contains_key(key);
    let suffers_others = with(&|key| !is_field(key)).is_ok();
    let fits = |key: &str| {
        if !is_field(key) {
            return suffers_others;
        }
        let read = with(&|other| other == key);
        if read.is_err() {
            // Do not log serde's error: it contains the value.
            tracing::warn!(target: "bsession", view = type_name::<T>(), key, "field_does_not_fit");
        }
        read.is_ok()
    };
    let fitting: Vec<&str> = data
        .iter()
        .map(|(key, _)| key)
        .filter(|key| fits(key))
        .collect();
    with(&|key| fitting.contains(&key))
        .or_else(|_| with(&|_| false))
        .map_err(|error| no_view::<T>(error.to_string()))
}

/// Reads a view from its default and the chosen keys of the session.
fn read<T: View>(
    default: &Map<String, Value>,
    data: &Data,
    chosen: impl Fn(&str) -> bool,
) -> Result<T, serde_json::Error> {
    let stored = data.iter().filter(|(key, _)| chosen(key));
    let left = default.iter().map(|(key, value)| (key.as_str(), value));
    let left = left.filter(|(key, _)| !(data.contains_key(key) && chosen(key)));
    T::deserialize(MapDeserializer::new(stored.chain(left)))
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::json;

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

    #[test]
    fn a_view_that_is_no_map_is_an_error() {
        #[derive(Default, Serialize, Deserialize)]
        struct Pair(u32, u32);
        impl View for Pair {}

        #[derive(Default, Serialize, Deserialize)]
        #[serde(rename_all(serialize = "UPPERCASE"))]
        struct Deaf {
            _ear: u32,
        }
        impl View for Deaf {}

        for error in [
            Viewed::<Pair>::load(&Session::default()).err(),
            Viewed::<Deaf>::load(&Session::default()).err(),
        ] {
            assert!(matches!(error, Some(Error::View { .. })), "{error:?}");
        }
    }
}

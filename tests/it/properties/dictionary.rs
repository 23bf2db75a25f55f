//! The dictionary against a map of serde_json: after any acts it holds the same, and it is saved
//! if, and only if, that is another thing than was loaded.

use bsession::{Session, Sessions};
use proptest::collection::vec;
use proptest::option;
use serde_json::{Value, json};

use super::act::{Act, Dictionary, act, dictionary, number};
use super::{connected, for_all};
use crate::support::for_each_store;

fn assert_reads_as(session: &Session, map: &Dictionary) {
    let mut pairs: Vec<_> = map.iter().map(|(key, value)| (&**key, value)).collect();
    // By the bytes of the keys, as serde_json's map is too, unless some crate asks for `preserve_order`.
    pairs.sort_by_key(|(key, _)| key.as_bytes());
    assert_eq!(session.iter().collect::<Vec<_>>(), pairs);
    assert_eq!(session.data().iter().collect::<Vec<_>>(), pairs);
    assert_eq!(
        (session.len(), session.is_empty()),
        (map.len(), map.is_empty())
    );
    for name in ["", "a", "aa", "b", "ä", "other"] {
        let value = map.get(name);
        assert_eq!(session.contains_key(name), value.is_some());
        assert_eq!(session[name], *value.unwrap_or(&Value::Null));
        assert_eq!(session.get::<Value>(name).expect("any"), value.cloned());
        assert_eq!(session.get::<i64>(name).map_err(drop), number(value));
    }
}

/// A request of a visitor with this session, or with none.
async fn visit(sessions: &Sessions, loaded: Option<&Dictionary>, acts: &[Act]) {
    let cookie = match loaded {
        Some(map) => {
            let begin = |session: &mut Session| {
                for (key, value) in map {
                    session.insert(key, value).expect("JSON");
                }
            };
            Some(sessions.cookie_for(begin).await.expect("a session"))
        }
        None => None,
    };
    let (request, mut connection) = connected(sessions, cookie.as_ref()).await;
    let session = connection.session();
    let before = loaded.cloned().unwrap_or_default();
    let mut map = before.clone();
    assert_reads_as(session, &map);
    for act in acts {
        assert_eq!(act.on_session(session), act.on_map(&mut map), "{act:?}");
        assert_reads_as(session, &map);
    }

    let writes = || sessions.stats().creates + sessions.stats().commits;
    let written = writes();
    let response = connection.respond(&request, "done").await.into_response();
    assert_eq!(response.status(), 200);
    assert_eq!(writes() - written, u64::from(map != before), "{map:?}");
    let set = response.cookies().next().map(|cookie| cookie.into_owned());
    assert_eq!(set.is_some(), loaded.is_none() && map != before);
    let (_request, mut connection) = connected(sessions, set.or(cookie).as_ref()).await;
    assert_eq!(json!(connection.session().data()), json!(map));
}

for_each_store! {
    fn it_holds_what_a_map_would_and_is_saved_if_that_is_another(setup) {
        let (sessions, system) = (setup.sessions(), actix_web::rt::System::new());
        for_all(&(option::weighted(0.8, dictionary()), vec(act(), 0..10)), |(loaded, acts)| {
            system.block_on(visit(&sessions, loaded.as_ref(), &acts));
        });
    }
}

#[test]
fn a_session_of_no_request_holds_what_a_map_would() {
    for_all(&vec(act(), 0..30), |acts| {
        let (mut session, mut map) = (Session::default(), Dictionary::new());
        for act in acts {
            assert_eq!(
                act.on_session(&mut session),
                act.on_map(&mut map),
                "{act:?}"
            );
            assert_reads_as(&session, &map);
        }
    });
}

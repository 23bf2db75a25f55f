//! Two or three requests begin with one session and are saved one after the other, in every order:
//! what is stored in the end is what a model of the promises says, under each id there was.

use std::collections::BTreeMap;

use actix_web::cookie::Cookie;
use bsession::{Session, Sessions};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::act::{Act, Dictionary, Fun, act, dictionary, number, set};
use super::{connected, for_all};
use crate::support::for_each_store;

#[derive(Clone, Debug)]
enum Step {
    Act(Act),
    Login(&'static str),
    Renew,
    Purge,
}

impl Step {
    fn on_session(&self, session: &mut Session) {
        match self {
            Self::Act(act) => drop(act.on_session(session)),
            Self::Login(user) => session.login(user),
            Self::Renew => session.renew(),
            Self::Purge => session.purge(),
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => act().prop_map(Step::Act),
        1 => prop::sample::select(&["ann", "joe"][..]).prop_map(Step::Login),
        1 => Just(Step::Renew),
        1 => Just(Step::Purge),
    ]
}

/// What a session holds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    data: Dictionary,
    user: Option<String>,
}

/// What one request asks of whatever is stored by then.
#[derive(Debug, Default)]
struct Wish {
    /// What the session held when it was loaded, or after it was emptied: what is as it was there
    /// is not asked for.
    base: Held,
    now: Held,
    updates: BTreeMap<String, Updates>,
    purge: bool,
    renew: bool,
    login: bool,
    empty: bool,
}

/// The updates of one key, in their order.
#[derive(Debug)]
struct Updates {
    /// What this request had set before them.
    own: Option<Option<Value>>,
    funs: Vec<Fun>,
    /// What they came to here. What is something else in the end was set after them.
    result: Option<Value>,
}

impl Wish {
    fn of(loaded: &Held, steps: &[Step]) -> Self {
        let mut wish = Self {
            base: loaded.clone(),
            now: loaded.clone(),
            ..Self::default()
        };
        for step in steps {
            wish.add(step);
        }
        wish
    }

    fn add(&mut self, step: &Step) {
        match step {
            Step::Purge => {
                *self = Self {
                    purge: true,
                    ..Self::default()
                }
            }
            Step::Renew => self.renew = true,
            Step::Login(user) => {
                if self.now.user.as_deref().is_some_and(|other| other != *user) {
                    (self.base, self.now) = (Held::default(), Held::default());
                    self.updates.clear();
                    self.empty = true;
                }
                self.now.user = Some((*user).to_owned());
                self.login = true;
            }
            Step::Act(act) => self.act(act),
        }
    }

    fn act(&mut self, act: &Act) {
        let before = self.now.data.clone();
        let seen = act.on_map(&mut self.now.data);
        match act {
            Act::Update(key, fun) => {
                if let Ok(result) = seen {
                    self.update(key, before.get(*key), *fun, result);
                }
            }
            // The session sees that it is set, be it to what it was.
            Act::Index(key, _) | Act::Insert(key, _) | Act::Look(key) | Act::Remove(key) => {
                self.updates.remove(*key);
            }
            Act::Nested(key, ..) if is_map_or_none(before.get(*key)) => {
                self.updates.remove(*key);
            }
            Act::Take(key) if seen.is_ok() => drop(self.updates.remove(*key)),
            _ => {}
        }
    }

    fn update(&mut self, key: &str, before: Option<&Value>, fun: Fun, result: Option<Value>) {
        let goes_on = |updates: &Updates| before == updates.result.as_ref();
        let earlier = self.updates.remove(key).filter(goes_on);
        let mut updates = earlier.unwrap_or_else(|| Updates {
            // What was set back to what was loaded counts as not set.
            own: (before != self.base.data.get(key)).then(|| before.cloned()),
            funs: Vec::new(),
            result: None,
        });
        updates.funs.push(fun);
        updates.result = result;
        self.updates.insert(key.to_owned(), updates);
    }

    fn edits(&self) -> bool {
        self.login || self.now.data != self.base.data
    }

    /// Puts it on what is stored.
    fn on(&self, latest: &Held) -> Held {
        let mut held = latest.clone();
        if self.empty || self.login && held.user.is_some() && held.user != self.now.user {
            held = Held::default();
        }
        if self.login {
            held.user.clone_from(&self.now.user);
        }
        for key in ["", "a", "aa", "b", "ä"] {
            let (was, is) = (self.base.data.get(key), self.now.data.get(key));
            let updates = self.updates.get(key);
            if let Some(updates) = updates.filter(|updates| is == updates.result.as_ref()) {
                let stored = held.data.get(key).cloned();
                let start = updates.own.clone().unwrap_or(stored);
                // What is no number by now stays.
                if let Ok(start) = number(start.as_ref()) {
                    let result = updates.funs.iter().fold(start, |n, fun| fun.of(n));
                    set(&mut held.data, key, json!(result));
                }
            } else if was != is {
                set(&mut held.data, key, json!(is));
            }
        }
        held
    }
}

fn is_map_or_none(value: Option<&Value>) -> bool {
    matches!(value, None | Some(Value::Object(_)))
}

/// All sessions there were: the one that was loaded first.
struct Model(Vec<Stored>);

enum Stored {
    Live(Held),
    /// Removed, or renewed as that one.
    Retired(Option<usize>),
}

impl Model {
    /// Saves a request that loaded the first; gives the session that its cookie is of, if it gets
    /// one.
    fn save(&mut self, wish: &Wish) -> Option<usize> {
        let first = match &self.0[0] {
            Stored::Live(held) => Some(held.clone()),
            Stored::Retired(_) => None,
        };
        if wish.purge {
            self.remove(0);
            return wish.edits().then(|| self.create(wish));
        }
        match first {
            Some(held) if wish.login || wish.renew => {
                self.0[0] = Stored::Retired(Some(self.0.len()));
                self.0.push(Stored::Live(wish.on(&held)));
                Some(self.0.len() - 1)
            }
            Some(held) if wish.edits() => {
                self.0[0] = Stored::Live(wish.on(&held));
                None
            }
            None if wish.login => Some(self.create(wish)),
            _ => None,
        }
    }

    fn create(&mut self, wish: &Wish) -> usize {
        self.0.push(Stored::Live(wish.on(&Held::default())));
        self.0.len() - 1
    }

    fn remove(&mut self, number: usize) {
        match self.0[number] {
            Stored::Retired(Some(successor)) => self.remove(successor),
            _ => self.0[number] = Stored::Retired(None),
        }
    }
}

/// Runs the requests, saved in this order, for real and in the model.
async fn compare(sessions: &Sessions, loaded: &Held, requests: &[&[Step]]) {
    let begin = |session: &mut Session| {
        if let Some(user) = &loaded.user {
            session.login(user);
        }
        session.data_mut().extend(loaded.data.clone());
    };
    let mut cookies = vec![sessions.cookie_for(begin).await.expect("a session")];
    let mut model = Model(vec![Stored::Live(loaded.clone())]);

    let mut running = Vec::new();
    for steps in requests {
        let (request, mut connection) = connected(sessions, Some(&cookies[0])).await;
        for step in *steps {
            step.on_session(connection.session());
        }
        running.push((request, connection, Wish::of(loaded, steps)));
    }
    for (request, connection, wish) in running {
        let response = connection.respond(&request, "done").await.into_response();
        assert_eq!(response.status(), 200);
        let set = response.cookies().next().map(Cookie::into_owned);
        let token = set.filter(|cookie| !cookie.value().is_empty());
        assert_eq!(model.save(&wish), token.as_ref().map(|_| cookies.len()));
        cookies.extend(token);
    }
    for (cookie, stored) in cookies.iter().zip(&model.0) {
        let (_request, mut connection) = connected(sessions, Some(cookie)).await;
        let session = connection.session();
        let found = (!session.is_new()).then(|| json!([session.data(), session.user()]));
        let expected = match stored {
            Stored::Live(held) => Some(json!([held.data, held.user])),
            Stored::Retired(_) => None,
        };
        assert_eq!(found, expected);
    }
}

const ORDERS: [&[usize]; 9] = [
    &[0],
    &[0, 1],
    &[1, 0],
    &[0, 1, 2],
    &[0, 2, 1],
    &[1, 0, 2],
    &[1, 2, 0],
    &[2, 0, 1],
    &[2, 1, 0],
];

for_each_store! {
    fn requests_that_meet_are_merged_as_promised_in_every_order(setup) {
        let (sessions, system) = (setup.sessions(), actix_web::rt::System::new());
        let user = proptest::option::weighted(0.3, Just("joe".to_owned()));
        let loaded = (dictionary(), user).prop_map(|(data, user)| Held { data, user });
        for_all(&(loaded, vec(vec(step(), 0..10), 1..=3)), |(loaded, requests)| {
            for order in ORDERS.iter().filter(|order| order.len() == requests.len()) {
                let requests: Vec<_> = order.iter().map(|&number| &*requests[number]).collect();
                system.block_on(compare(&sessions, &loaded, &requests));
            }
        });
    }
}

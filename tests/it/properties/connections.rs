//! Several connections of one request, and other requests in between: what each connection finds
//! and claims, and what is stored in the end, is what a model says.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::test::TestRequest;
use bsession::{Connection, Session, connect};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::for_all;
use crate::support::{Setup, for_each_store};

/// Of one key, for all that meets meets there.
const KEY: &str = "k";

type Held = Option<i64>;

#[derive(Clone, Copy, Debug)]
enum Act {
    Set(i64),
    Add,
    Remove,
    Claim,
}

impl Act {
    async fn on_session(self, session: &mut Session) -> Held {
        match self {
            Self::Set(number) => session.insert(KEY, number).expect("JSON"),
            Self::Add => drop(session.update(KEY, |n: i64| n + 1).expect("a number")),
            Self::Remove => drop(session.remove(KEY)),
            Self::Claim => return session.claim(KEY).await.expect("a number"),
        }
        None
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// On one of the open connections.
    Act(usize, Act),
    /// One is dropped, and another one opened in its place.
    Reopen(usize),
    /// Another connection saves what those have left that are closed.
    Save,
    /// Another request, from its load to its save.
    Other(Act),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => (0..3_i64).prop_map(Act::Set),
        2 => Just(Act::Add),
        1 => Just(Act::Remove),
        2 => Just(Act::Claim),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..3_usize, act()).prop_map(|(part, act)| Event::Act(part, act)),
        2 => (0..3_usize).prop_map(Event::Reopen),
        1 => Just(Event::Save),
        3 => act().prop_map(Event::Other),
    ]
}

/// What a connection leaves of the key.
#[derive(Clone, Copy, Debug)]
enum Left {
    Put(Held),
    /// So many more than there are then, or than this connection had put there.
    More(Option<Held>, i64),
}

impl Left {
    fn on(held: Held, left: &Self) -> Held {
        match *left {
            Self::Put(held) => held,
            Self::More(own, more) => Some(own.unwrap_or(held).unwrap_or(0) + more),
        }
    }
}

/// One connection.
#[derive(Debug)]
struct Part {
    before: Held,
    now: Held,
    more: Option<(Option<Held>, i64)>,
}

impl Part {
    fn open(before: Held) -> Self {
        Self {
            before,
            now: before,
            more: None,
        }
    }

    fn put(&mut self, held: Held) {
        (self.now, self.more) = (held, None);
    }

    fn add(&mut self) {
        let own = (self.now != self.before).then_some(self.now);
        self.more.get_or_insert((own, 0)).1 += 1;
        self.now = Some(self.now.unwrap_or(0) + 1);
    }

    fn left(&self) -> Option<Left> {
        let left = match self.more {
            Some((own, more)) => Left::More(own, more),
            None => Left::Put(self.now),
        };
        (self.now != self.before).then_some(left)
    }
}

/// The request and its store.
#[derive(Debug)]
struct Model {
    stored: Held,
    /// What is stored as far as the request knows.
    known: Held,
    pending: Vec<Left>,
    parts: BTreeMap<usize, Part>,
}

impl Model {
    fn view(&self) -> Held {
        self.pending.iter().fold(self.known, Left::on)
    }

    fn open(&mut self, part: usize) {
        self.parts.insert(part, Part::open(self.view()));
    }

    fn close(&mut self, part: usize) {
        self.pending.extend(self.parts[&part].left());
    }

    fn save(&mut self) {
        if !self.pending.is_empty() {
            self.stored = self
                .pending
                .drain(..)
                .fold(self.stored, |held, left| Left::on(held, &left));
            self.known = self.stored;
        }
    }

    fn act(&mut self, part: usize, act: Act) -> Held {
        let it = self.parts.get_mut(&part).expect("a part");
        match act {
            Act::Set(number) => it.put(Some(number)),
            Act::Add => it.add(),
            Act::Remove => it.put(None),
            Act::Claim => return self.claim(part),
        }
        None
    }

    fn claim(&mut self, part: usize) -> Held {
        let it = self.parts.get_mut(&part).expect("a part");
        let more = it.more.filter(|(own, _)| own.is_none());
        let is_own = it.before.is_none() || more.is_none() && it.now != it.before;
        let was = it.now;
        it.put(None);
        if was.is_none() || is_own {
            return was;
        }
        it.before = None;
        let is_set = |left: &Left| !matches!(left, Left::More(None, _));
        let claimed = if self.pending.iter().any(is_set) {
            // Of this request: nobody else can have it.
            let claimed = self.view();
            self.pending.extend(claimed.map(|_| Left::Put(None)));
            claimed
        } else {
            // From the store, if it is there still; what other parts have added goes with it.
            let stored = self.known.take().and_then(|_| self.stored.take());
            self.pending
                .drain(..)
                .fold(stored, |held, left| Left::on(held, &left))
        };
        more.map_or(claimed, |(own, more)| {
            Left::on(claimed, &Left::More(own, more))
        })
    }

    fn other(&mut self, act: Act) -> Held {
        match act {
            Act::Set(number) => self.stored = Some(number),
            Act::Add => self.stored = Some(self.stored.unwrap_or(0) + 1),
            Act::Remove => self.stored = None,
            Act::Claim => return self.stored.take(),
        }
        None
    }
}

async fn open(request: &HttpRequest) -> Connection {
    let mut connection = connect(request).await.expect("a session");
    connection.session();
    connection
}

async fn save(request: &HttpRequest) {
    drop(open(request).await.respond(request, "saved").await);
}

async fn visit(setup: &Setup, begins: Held, events: &[Event]) {
    let sessions = setup.sessions();
    let begin = |session: &mut Session| {
        session.insert("other", true).expect("JSON");
        if let Some(number) = begins {
            session.insert(KEY, number).expect("JSON");
        }
    };
    let cookie = sessions.cookie_for(begin).await.expect("a session");
    let request = || {
        let request = TestRequest::default().app_data(sessions.clone());
        request.cookie(cookie.clone()).to_http_request()
    };
    let ours = request();
    let mut model = Model {
        stored: begins,
        known: begins,
        pending: Vec::new(),
        parts: BTreeMap::new(),
    };
    let mut parts = Vec::new();
    for part in 0..3 {
        parts.push(open(&ours).await);
        model.open(part);
    }
    for &event in events {
        match event {
            Event::Act(part, act) => {
                let given = act.on_session(parts[part].session()).await;
                assert_eq!(given, model.act(part, act), "{event:?}");
            }
            Event::Reopen(part) => {
                model.close(part);
                model.open(part);
                parts.remove(part);
                parts.insert(part, open(&ours).await);
                let found = parts[part].session().get(KEY).expect("a number");
                assert_eq!(found, model.view(), "{event:?}");
            }
            Event::Save => {
                save(&ours).await;
                model.save();
            }
            Event::Other(act) => {
                let theirs = request();
                let mut other = open(&theirs).await;
                let given = act.on_session(other.session()).await;
                drop(other.respond(&theirs, "saved").await);
                assert_eq!(given, model.other(act), "{event:?}");
            }
        }
    }
    for (part, connection) in parts.into_iter().enumerate() {
        drop(connection);
        model.close(part);
    }
    save(&ours).await;
    model.save();
    let stored = open(&request()).await.session().get(KEY).expect("a number");
    assert_eq!(stored, model.stored, "in the end");
}

for_each_store! {
    fn parts_of_a_request_are_merged_and_a_value_is_claimed_once(setup) {
        let cases = (option::of(0..2_i64), vec(event(), 0..10));
        for_all(&cases, |(begins, events)| {
            actix_web::rt::System::new().block_on(visit(setup, begins, &events));
        });
    }
}

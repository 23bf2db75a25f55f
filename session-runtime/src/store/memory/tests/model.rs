//! The store beside a model that looks through a list of all sessions for each eviction.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const MAX: usize = 24;

/// An operation on a store. A number of any size picks one of the sessions that are there.
#[derive(Clone, Debug)]
enum Operation {
    Create {
        user: Option<u32>,
        age: u64,
        lasting: u64,
    },
    Visit {
        which: usize,
        lasting: u64,
    },
    Login {
        which: usize,
        user: Option<u32>,
    },
    Remove {
        which: usize,
    },
    Sweep,
    Pass {
        time: u64,
    },
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    // Most sessions are of two users, so that one or both often have more than ten.
    let user = || prop_oneof![2 => Just(None), 6 => (0..2_u32).prop_map(Some), 1 => (2..5_u32).prop_map(Some)];
    let operation = prop_oneof![
        20 => (user(), 0..4_u64, 1..40_u64)
            .prop_map(|(user, age, lasting)| Operation::Create { user, age, lasting }),
        4 => (any::<usize>(), 1..40_u64).prop_map(|(which, lasting)| Operation::Visit { which, lasting }),
        4 => (any::<usize>(), user()).prop_map(|(which, user)| Operation::Login { which, user }),
        3 => any::<usize>().prop_map(|which| Operation::Remove { which }),
        1 => Just(Operation::Sweep),
        6 => (0..4_u64).prop_map(|time| Operation::Pass { time }),
    ];
    vec(operation, 0..150)
}

/// All sessions, expired ones too.
#[derive(Default)]
struct PlainStore {
    sessions: Vec<(Key, Head)>,
    evicted: u64,
}

impl PlainStore {
    fn make_room(&mut self, spared: Key, now: Timestamp) {
        while self.sessions.len() > MAX {
            let of = |user| {
                self.sessions
                    .iter()
                    .filter(|it| it.1.user == Some(user))
                    .count()
            };
            let users = self.sessions.iter().filter_map(|it| it.1.user);
            let most = users.max_by_key(|&user| (of(user), user));
            let crowd = most.filter(|&user| of(user) > 10);
            let rank = |key: Key, head: Head| match head.user {
                _ if !head.is_live(now) => (0, head.expires, key),
                Some(user) if crowd == Some(user) => (1, head.created, key),
                None => (2, head.expires, key),
                Some(_) => (3, head.expires, key),
            };
            let others = self.sessions.iter().enumerate();
            let others = others.filter(|(_, it)| it.0 != spared);
            let (place, _) = others.min_by_key(|(_, it)| rank(it.0, it.1)).unwrap();
            let (_, head) = self.sessions.remove(place);
            self.evicted += u64::from(head.user.is_some() && head.is_live(now));
        }
    }
}

/// The two side by side.
struct Compared {
    store: Observed,
    model: PlainStore,
    now: Timestamp,
}

impl Compared {
    /// Does an operation on both. `new` is a key that is in no use yet.
    fn apply(&mut self, operation: Operation, new: Key) {
        let count = self.model.sessions.len();
        let nth = |which: usize| (count > 0).then(|| which % count);
        match operation {
            Operation::Create { user, age, lasting } => self.create(new, user, age, lasting),
            Operation::Visit { which, lasting } => {
                if let Some(place) = nth(which) {
                    self.visit(place, lasting);
                }
            }
            Operation::Login { which, user } => {
                if let Some(place) = nth(which) {
                    self.login(place, user, new);
                }
            }
            Operation::Remove { which } => {
                if let Some(place) = nth(which) {
                    let (key, _) = self.model.sessions.remove(place);
                    done(self.store.asked.remove(key, self.now)).unwrap();
                }
            }
            Operation::Sweep => {
                self.store.asked.sweep(self.now, usize::MAX).unwrap();
                let sessions = &mut self.model.sessions;
                sessions.retain(|(_, head)| head.is_live(self.now));
            }
            Operation::Pass { time } => self.now = self.now + Duration::from_millis(time),
        }
    }

    fn create(&mut self, key: Key, owner: Option<u32>, age: u64, lasting: u64) {
        let created = Timestamp::from_millis(self.now.as_millis() - age);
        let expires = self.now + Duration::from_millis(lasting);
        let record = record(owner.map(user), created, expires);
        self.model.sessions.push((key, record.head));
        self.store.create(key, record, self.now);
        self.model.make_room(key, self.now);
    }

    fn visit(&mut self, place: usize, lasting: u64) {
        let (key, head) = &mut self.model.sessions[place];
        let expires = self.now + Duration::from_millis(lasting);
        let visited = Head { expires, ..*head };
        done(self.store.asked.visit(*key, visited, self.now)).unwrap();
        if head.is_live(self.now) {
            *head = visited;
        }
    }

    fn login(&mut self, place: usize, owner: Option<u32>, new: Key) {
        let (old, head) = self.model.sessions[place];
        let mut login = record(owner.map(user), head.created, head.expires);
        login.head.revision = head.revision.next();
        let renewed = login.head;
        let renewal = self
            .store
            .asked
            .renew(old, head.revision, new, login, self.now);
        drop(done(renewal).unwrap());
        if head.is_live(self.now) {
            self.model.sessions[place] = (new, renewed);
        } else {
            // The ledger puts a tombstone in its place.
            self.model.sessions.remove(place);
        }
    }

    fn compare(&self) {
        let mut sessions = self.model.sessions.clone();
        sessions.sort_unstable_by_key(|&(key, _)| key);
        assert_eq!(self.store.heads(), sessions);
        assert_eq!(self.store.stats().evicted, self.model.evicted);
    }
}

fn run(operations: Vec<Operation>) {
    let mut both = Compared {
        store: Observed::limited(MAX),
        model: PlainStore::default(),
        now: NOW,
    };
    for (operation, number) in operations.into_iter().zip(0..) {
        // Spread over the shards, and in no order.
        let bytes = u32::wrapping_mul(number, 0x9E37_79B1).to_le_bytes();
        both.apply(operation, Key(std::array::from_fn(|at| bytes[at % 4])));
        both.compare();
    }
    both.store.check(Some(MAX));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_sessions_that_stay_are_those_of_a_plain_model(operations in operations()) {
        run(operations);
    }
}

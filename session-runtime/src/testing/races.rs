//! The contract of a store: races between threads.

use std::sync::Arc;

use super::ask::{ask, created, is_retired, is_saved, live};
use super::record::{NOW, after, key, of_user, record, user, with};
use crate::clock::Timestamp;
use crate::record::Handle;
use crate::store::asked::Asked;
use crate::store::{Commit, Listing, Loaded, Which};

/// The number of threads that race.
const THREADS: u8 = 4;
/// The number of rounds.
const ROUNDS: u8 = 25;

/// Runs `work` on [`THREADS`] new threads at once, each with its own runtime.
fn race(store: &Arc<Asked>, work: impl AsyncFn(&Arc<Asked>, u8) + Clone + Send + 'static) {
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (store, work) = (Arc::clone(store), work.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                let runtime = runtime.unwrap_or_else(|error| panic!("a runtime: {error}"));
                runtime.block_on(work(&store, thread));
            })
        })
        .collect();
    for thread in threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

pub(super) async fn racing_commits_lose_nothing(store: &Arc<Asked>) {
    // The creation time is the counter, because every store keeps it, in process or not.
    created(
        store,
        key(1),
        with(record(b""), |head| head.created = Timestamp::from_millis(0)),
    )
    .await;
    race(store, async |store, _| {
        for _ in 0..ROUNDS {
            let mut latest = live(store, key(1), NOW).await;
            loop {
                let created = Timestamp::from_millis(latest.head.created.as_millis() + 1);
                let next = with(after(&latest, b""), |head| head.created = created);
                match ask!(store, commit(key(1), latest.head.revision, next, NOW)) {
                    Commit::Saved => break,
                    Commit::Conflict(record) => latest = record,
                    Commit::Gone => panic!("nobody removed it"),
                }
            }
        }
    });
    let count = live(store, key(1), NOW).await.head.created.as_millis();
    assert_eq!(
        count,
        u64::from(THREADS) * u64::from(ROUNDS),
        "no acknowledged commit is lost"
    );
}

pub(super) async fn a_removal_among_racing_commits_stays(store: &Arc<Asked>) {
    for round in 0..ROUNDS {
        let first = created(store, key(round), record(b"")).await;
        race(store, async move |store, thread| {
            if thread == 0 {
                ask!(store, remove(key(round), NOW));
                assert!(
                    is_retired(store, key(round), NOW).await,
                    "an acknowledged removal is seen at once"
                );
                return;
            }
            let mut latest = first.clone();
            loop {
                match ask!(
                    store,
                    commit(
                        key(round),
                        latest.head.revision,
                        after(&latest, b"late"),
                        NOW
                    )
                ) {
                    Commit::Saved => {
                        latest = match ask!(store, load(key(round), NOW)) {
                            Loaded::Live(record) => record,
                            _ => break,
                        }
                    }
                    Commit::Conflict(record) => latest = record,
                    Commit::Gone => break,
                }
            }
        });
        assert!(
            is_retired(store, key(round), NOW).await,
            "no commit revives what was removed"
        );
    }
}

pub(super) async fn racing_renewals_leave_one(store: &Arc<Asked>) {
    for round in 0..ROUNDS {
        let old = key(round);
        let first = created(store, old, of_user(1, b"")).await;
        race(store, async move |store, thread| {
            let new = key(100 + thread * ROUNDS + round);
            let renewal = ask!(
                store,
                renew(old, first.head.revision, new, after(&first, b""), NOW)
            );
            let is_live = matches!(ask!(store, load(new, NOW)), Loaded::Live(_));
            assert_eq!(
                is_live,
                is_saved(&renewal),
                "a renewal that lost leaves nothing, one that won is there"
            );
        });
        assert_eq!(
            ask!(store, of_user(user(1), NOW)).len(),
            1,
            "of racing renewals one wins"
        );
        assert!(ask!(store, remove(old, NOW)));
    }
}

pub(super) async fn removing_a_users_sessions_spares_who_logged_in_meanwhile(store: &Arc<Asked>) {
    for round in 0..ROUNDS {
        let (old, new) = (key(round), key(100 + round));
        let first = created(store, old, of_user(1, b"")).await;
        race(store, async move |store, thread| {
            if thread > 0 {
                ask!(store, remove_user(user(1), Which::All, NOW));
                return;
            }
            let other = with(after(&first, b""), |head| head.user = Some(user(2)));
            let renewal = ask!(store, renew(old, first.head.revision, new, other, NOW));
            let is_live = matches!(ask!(store, load(new, NOW)), Loaded::Live(_));
            assert_eq!(
                is_live,
                is_saved(&renewal),
                "a session that another user took over is not the first one's any more"
            );
        });
    }
}

pub(super) async fn a_session_that_is_renewed_is_neither_missed_nor_ended_wrongly(
    store: &Arc<Asked>,
) {
    let device = |device| with(of_user(1, b""), |head| head.handle = Handle([device; 12]));
    for round in 0..ROUNDS {
        let olds = [key(round), key(100 + round)];
        let [revoked, spared] = [
            created(store, olds[0], device(1)),
            created(store, olds[1], device(2)),
        ];
        let firsts = [revoked.await, spared.await];
        race(store, async move |store, thread| {
            let renew = async |place: usize| {
                let (first, new) = (&firsts[place], key(200 + round + 27 * place as u8));
                let next = after(first, b"");
                ask!(
                    store,
                    renew(olds[place], first.head.revision, new, next, NOW)
                )
            };
            match thread {
                0 => drop(renew(0).await),
                1 => assert!(
                    is_saved(&renew(1).await),
                    "what is spared is spared while it is renewed"
                ),
                2 => {
                    let listed = ask!(store, of_user(user(1), NOW));
                    let spared = |listing: &Listing| listing.head.handle == Handle([2; 12]);
                    assert!(
                        listed.iter().any(spared),
                        "a list misses nobody who is renewed"
                    );
                }
                _ => {
                    let which = Which::AllBut(Handle([2; 12]));
                    ask!(store, remove_user(user(1), which, NOW));
                }
            }
        });
        let left = ask!(store, of_user(user(1), NOW));
        let handles: Vec<_> = left
            .iter()
            .map(|listing| listing.head.handle.0[0])
            .collect();
        assert_eq!(handles, [2], "who is renewed does not slip through");
        ask!(store, remove_user(user(1), Which::All, NOW));
    }
}

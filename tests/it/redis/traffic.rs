//! Visitors who write without a pause, and what they were answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::{Reply, Visitor, eventually};

/// How many writers are on each master.
pub const PER_MASTER: usize = 2;

/// An answer to `/add/n`.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub at: Instant,
    pub took: Duration,
    /// What the session counts by now; nothing for a 503.
    pub value: Option<u64>,
}

/// One visitor, and all answers until now.
pub struct Writer {
    pub visitor: Visitor,
    answers: Arc<Mutex<Vec<Answer>>>,
}

pub struct Traffic {
    pub writers: Vec<Writer>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    pub fn begin(visitors: impl IntoIterator<Item = Visitor>) -> Self {
        let mut traffic = Self {
            writers: Vec::new(),
            is_over: Arc::default(),
            threads: Vec::new(),
        };
        for visitor in visitors {
            let answers = Arc::<Mutex<Vec<_>>>::default();
            let (over, log, tab) = (traffic.is_over.clone(), answers.clone(), visitor.clone());
            traffic.threads.push(std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let begin = Instant::now();
                    let reply = tab.post("/add/n");
                    let answer = Answer::of(&reply, begin);
                    log.lock().expect("nobody panics").push(answer);
                }
            }));
            traffic.writers.push(Writer { visitor, answers });
        }
        traffic
    }

    /// Waits until every writer has had so many more updates.
    pub fn all_go_on(&self, updates: usize) {
        let before: Vec<_> = self.writers.iter().map(Writer::updates).collect();
        eventually("everybody is served", || {
            std::thread::sleep(Duration::from_millis(1));
            let mut both = self.writers.iter().zip(&before);
            both.all(|(writer, before)| writer.updates() >= before + updates)
        });
    }

    pub fn end(mut self) -> Vec<Writer> {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread
                .join()
                .expect("every answer is one of those that may be");
        }
        self.writers
    }
}

impl Answer {
    fn of(reply: &Reply, begin: Instant) -> Self {
        assert_eq!(
            reply.set_cookies(),
            Vec::<&str>::new(),
            "nobody is logged out"
        );
        let value = match reply.status {
            200 => Some(reply.body.parse().expect("a number")),
            503 => None,
            other => panic!("{other}: {}", reply.body),
        };
        Self {
            at: begin,
            took: begin.elapsed(),
            value,
        }
    }
}

impl Writer {
    pub fn answers(&self) -> Vec<Answer> {
        self.answers.lock().expect("nobody panics").clone()
    }

    pub fn updates(&self) -> usize {
        self.answers()
            .iter()
            .filter(|answer| answer.value.is_some())
            .count()
    }

    /// How many requests were answered with 503.
    pub fn refused(&self) -> usize {
        self.answers()
            .iter()
            .filter(|answer| answer.value.is_none())
            .count()
    }

    /// The longest that anybody waited.
    pub fn longest(&self) -> Duration {
        self.answers()
            .iter()
            .map(|answer| answer.took)
            .max()
            .unwrap_or_default()
    }

    /// From the last update before this moment that was answered to the first one after it.
    pub fn gap(&self, moment: Instant) -> Duration {
        let answers = self.answers();
        let mut done = answers.iter().filter(|answer| answer.value.is_some());
        let after = done
            .find(|answer| answer.at > moment)
            .expect("it is served again");
        (after.at + after.took) - moment
    }

    /// How many updates that were answered are missing, at least: some that were not answered may
    /// have been done. The visitor began with one.
    pub fn missing(&self) -> u64 {
        let stored = self.visitor.session()["data"]["n"].as_u64().unwrap_or(0);
        (1 + self.updates() as u64).saturating_sub(stored)
    }
}

/// Tells what it cost: `cargo test redis::cluster -- --nocapture`.
pub fn report(what: &str, taken: Duration, moment: Instant, writers: &[Writer]) {
    let (own, others) = writers.split_at(PER_MASTER);
    let sum = |of: fn(&Writer) -> usize, writers: &[Writer]| writers.iter().map(of).sum::<usize>();
    let longest = others.iter().map(Writer::longest).max();
    println!(
        "{what}: taken over after {taken:?}, served again after {:?}; of {} updates {} refused and {} missing; \
         of {} others {} refused, the longest {longest:?}",
        own.iter().map(|writer| writer.gap(moment)).max(),
        sum(Writer::updates, own),
        sum(Writer::refused, own),
        sum(|writer| writer.missing() as usize, own),
        sum(Writer::updates, others),
        sum(Writer::refused, others),
    );
}

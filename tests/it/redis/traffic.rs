//! Visitors who write without a pause, and what they were answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::web::{Path, ServiceConfig};
use actix_web::{Responder, post};
use bsession::session;

use crate::support::{Reply, Visitor, eventually};

/// How many writers are on each master.
pub const PER_MASTER: usize = 2;

/// Puts a number behind those that the session has, by an update.
#[post("/mark/{number}")]
#[session]
async fn mark(number: Path<u32>) -> bsession::Result<impl Responder> {
    let number = *number;
    session.update("marks", move |mut marks: Vec<u32>| {
        marks.push(number);
        marks
    })?;
    Ok("marked")
}

pub fn routes(config: &mut ServiceConfig) {
    config.service(mark);
}

/// An answer to a mark, whose number is that of the answers before it.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub at: Instant,
    pub took: Duration,
    /// And not 503.
    pub is_done: bool,
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
                for number in 0_u32.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let begin = Instant::now();
                    let reply = tab.post(&format!("/mark/{number}"));
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
        assert!(matches!(reply.status, 200 | 503), "{}", reply.status);
        Self {
            at: begin,
            took: begin.elapsed(),
            is_done: reply.status == 200,
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
            .filter(|answer| answer.is_done)
            .count()
    }

    /// How many requests were answered with 503.
    pub fn refused(&self) -> usize {
        self.answers()
            .iter()
            .filter(|answer| !answer.is_done)
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
        let mut done = answers.iter().filter(|answer| answer.is_done);
        let after = done
            .find(|answer| answer.at > moment)
            .expect("it is served again");
        (after.at + after.took) - moment
    }

    /// How many updates that were answered are missing; and none is there twice.
    pub fn missing(&self) -> usize {
        let marks = self.visitor.session()["data"]["marks"].take();
        let mut marks: Vec<usize> = serde_json::from_value(marks).expect("a list");
        let all = marks.len();
        marks.sort_unstable();
        marks.dedup();
        assert_eq!(marks.len(), all, "an update was done twice");
        let answers = self.answers().into_iter().enumerate();
        let done = answers.filter(|(_, answer)| answer.is_done);
        done.filter(|(number, _)| marks.binary_search(number).is_err())
            .count()
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
        sum(Writer::missing, own),
        sum(Writer::updates, others),
        sum(Writer::refused, others),
    );
}

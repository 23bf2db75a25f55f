//! What all players share: where the servers are, what was found, and whether it is over.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crate::fleet::Lives;
use crate::op::Done;

/// After so many findings a run ends: the next ones tell nothing new.
const ENOUGH: usize = 10;

pub(crate) struct World {
    pub(crate) lives: Lives,
    /// Set when nobody shall begin another round.
    pub(crate) over: AtomicBool,
    started: Instant,
    findings: AtomicUsize,
}

impl World {
    pub(crate) fn new(lives: Lives) -> Self {
        Self {
            lives,
            over: AtomicBool::new(false),
            started: Instant::now(),
            findings: AtomicUsize::new(0),
        }
    }

    pub(crate) fn findings(&self) -> usize {
        self.findings.load(Ordering::Relaxed)
    }

    pub(crate) fn has_enough(&self) -> bool {
        self.findings() >= ENOUGH
    }

    /// Prints what cannot be, and all that the visitor did.
    pub(crate) fn report(&self, mark: &str, faults: &[String], done: &[Done]) {
        self.findings.fetch_add(1, Ordering::Relaxed);
        let mut text = format!(
            "\nVIOLATION after {:.1?}, {mark}:\n",
            self.started.elapsed()
        );
        for fault in faults {
            let _ = writeln!(text, "  {fault}");
        }
        let start = done.iter().map(|done| done.sent).min();
        let since = |at: Instant| {
            start
                .map(|start| at.duration_since(start))
                .unwrap_or_default()
        };
        for done in done {
            let _ = write!(
                text,
                "    tab {} {:9.2?} {:?}",
                done.tab,
                since(done.sent),
                done.op
            );
            let _ = match &done.answered {
                Some((at, answer)) => writeln!(text, " -> {:.2?} {answer:?}", since(*at)),
                None => writeln!(text, " -> no answer"),
            };
        }
        eprint!("{text}");
        if self.has_enough() {
            self.over.store(true, Ordering::Relaxed);
        }
    }
}

//! A gate in a handler: the test knows when a request stands before it, and says when it opens.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;

/// How long a test waits for what must come: not a pause, but the end of hope.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Gate {
    arrivals: Arc<Mutex<Receiver<()>>>,
    arrived: Sender<()>,
    passes: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        let (arrived, arrivals) = channel();
        Self {
            arrivals: Arc::new(Mutex::new(arrivals)),
            arrived,
            passes: Arc::new(Semaphore::new(0)),
        }
    }
}

impl Gate {
    /// The handler's side: says that it is there, and goes on.
    pub fn arrive(&self) {
        self.arrived.send(()).expect("the test is there");
    }

    /// The handler's side: says that it is there, and waits.
    pub async fn pass(&self) {
        self.arrive();
        self.passes.acquire().await.expect("never closed").forget();
    }

    /// The test's side: waits until so many more requests stand before the gate.
    pub fn await_arrivals(&self, count: usize) {
        let arrivals = self.arrivals.lock().expect("one test waits");
        for _ in 0..count {
            arrivals
                .recv_timeout(PATIENCE)
                .expect("a request comes to the gate");
        }
    }

    /// Lets so many requests pass.
    pub fn open(&self, count: usize) {
        self.passes.add_permits(count);
    }
}

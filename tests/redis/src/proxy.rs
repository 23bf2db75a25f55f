//! A proxy in front of a server, for what a network may do.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A proxy that ends with this.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    target: u16,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    held: bool,
    refusing: bool,
    over: bool,
    delay: Duration,
    accepted: usize,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// Puts a proxy before a port of this machine.
    ///
    /// # Panics
    /// There is no free port.
    #[must_use]
    pub fn before(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap_or_else(|error| panic!("a free port: {error}"));
        let address = listener
            .local_addr()
            .unwrap_or_else(|error| panic!("a port: {error}"));
        let shared = Arc::new(Shared {
            target,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let at_work = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if at_work.state().over {
                    return;
                }
                // A server that is down is a connection that is closed.
                drop(at_work.serve(client));
            }
        });
        Self {
            port: address.port(),
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Where it listens, at 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of the server, through the proxy.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Forwards nothing any more, and closes nothing: a black hole.
    pub fn hold(&self) {
        self.shared.set(|state| state.held = true);
    }

    /// Forwards again, what has waited first.
    pub fn go_on(&self) {
        self.shared.set(|state| state.held = false);
    }

    /// Forwards everything, in either direction, so much later.
    pub fn delay(&self, delay: Duration) {
        self.shared.set(|state| state.delay = delay);
    }

    /// Closes all connections, in the middle of whatever it is.
    pub fn cut(&self) {
        self.shared.set(State::close_all);
    }

    /// Closes every new connection at once, or takes them again.
    pub fn refuse(&self, yes: bool) {
        self.shared.set(|state| state.refusing = yes);
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().accepted
    }
}

impl State {
    fn close_all(&mut self) {
        for stream in self.open.drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, set: impl FnOnce(&mut State)) {
        set(&mut self.state());
        self.changed.notify_all();
    }

    fn serve(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        {
            let mut state = self.state();
            state.accepted += 1;
            if state.refusing {
                return Ok(());
            }
        }
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (from, to, shared) = (from.try_clone()?, to.try_clone()?, Arc::clone(self));
            std::thread::spawn(move || {
                drop(shared.forward(&from, &to));
                drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
            });
        }
        self.state().open.extend([client, server]);
        Ok(())
    }

    fn forward(&self, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            let delay = {
                let state = self.state();
                let wait = self
                    .changed
                    .wait_while(state, |state| state.held && !state.over);
                wait.unwrap_or_else(PoisonError::into_inner).delay
            };
            std::thread::sleep(delay);
            to.write_all(&buffer[..length])?;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.set(|state| {
            state.over = true;
            state.close_all();
        });
        // Wakes the one that accepts.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

//! A proxy in front of a server, for what a network may do.

use std::collections::HashMap;
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
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Connections up to this number are held.
    held: usize,
    target: u16,
    refusing: bool,
    mute: bool,
    over: bool,
    delay: Duration,
    accepted: usize,
    /// Both ends of each connection, by its number.
    open: HashMap<usize, Vec<TcpStream>>,
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
            state: Mutex::new(State {
                target,
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        let at_work = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if at_work.state().over {
                    return;
                }
                at_work.accept(client);
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
        self.shared.set(|state| state.held = usize::MAX);
    }

    /// The same for the connections that there are; new ones are forwarded.
    pub fn hold_open_ones(&self) {
        self.shared.set(|state| state.held = state.accepted);
    }

    /// Forwards again, what has waited first.
    pub fn go_on(&self) {
        self.shared.set(|state| state.held = 0);
    }

    /// Forwards no replies, of connections that it closes not even later; or those that come from now on.
    pub fn mute(&self, yes: bool) {
        self.shared.set(|state| state.mute = yes);
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

    /// Leads new connections to another port, as a name that is another host's from now on.
    pub fn lead_to(&self, target: u16) {
        self.shared.set(|state| state.target = target);
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().accepted
    }
}

impl State {
    fn close_all(&mut self) {
        for (_, ends) in self.open.drain() {
            shut(&ends);
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

    fn accept(self: &Arc<Self>, client: TcpStream) {
        let mut state = self.state();
        state.accepted += 1;
        if state.refusing {
            return;
        }
        let number = state.accepted;
        let Ok(end) = client.try_clone() else { return };
        state.open.insert(number, vec![end]);
        drop(state);
        let shared = Arc::clone(self);
        std::thread::spawn(move || {
            // A server that is down is a connection that is closed.
            drop(shared.serve(number, &client));
            shared.close(number);
        });
    }

    fn serve(self: &Arc<Self>, number: usize, client: &TcpStream) -> io::Result<()> {
        let target = self.state().target;
        // Who is held does not learn whether there is a server.
        drop(self.when_not_held(number));
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let end = server.try_clone()?;
        match self.state().open.get_mut(&number) {
            Some(ends) => ends.push(end),
            None => return Ok(()), // cut meanwhile
        }
        let (from, to, shared) = (server.try_clone()?, client.try_clone()?, Arc::clone(self));
        std::thread::spawn(move || {
            drop(shared.forward(number, &from, &to, true));
            shared.close(number);
        });
        self.forward(number, client, &server, false)
    }

    fn forward(
        &self,
        number: usize,
        mut from: &TcpStream,
        mut to: &TcpStream,
        is_reply: bool,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer);
            let delay = self.state().delay;
            std::thread::sleep(delay);
            // Also the end of a connection is not forwarded while it is held.
            drop(self.when_not_held(number));
            if is_reply {
                let is_kept = |state: &mut State| {
                    state.mute && state.open.contains_key(&number) && !state.over
                };
                drop(self.changed.wait_while(self.state(), is_kept));
            }
            match read? {
                0 => return Ok(()),
                length => to.write_all(&buffer[..length])?,
            }
        }
    }

    fn when_not_held(&self, number: usize) -> MutexGuard<'_, State> {
        let is_held = |state: &mut State| number <= state.held && !state.over;
        let waited = self.changed.wait_while(self.state(), is_held);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, number: usize) {
        let ends = self.state().open.remove(&number);
        shut(&ends.unwrap_or_default());
    }
}

fn shut(ends: &[TcpStream]) {
    for end in ends {
        drop(end.shutdown(Shutdown::Both));
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
